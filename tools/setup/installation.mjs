/**
 * Is what package-lock.json asks for in node_modules, and if not, how does it get there?
 *
 * npm writes node_modules/.package-lock.json as the last step of every install, with one entry for each package that is
 * really there. An interrupted `npm ci` leaves none. Comparing the two files so answers the question in a few milliseconds,
 * without a marker of our own, whoever ran the install.
 *
 *   runtime     what `npm start` needs (`npm ci --omit=dev`)
 *   everything  the above and the tools of `npm test`
 *
 * Packages marked optional are left out of the comparison: most belong to other platforms. The one that we cannot do without,
 * Node itself, is looked for by `runtime.mjs`.
 *
 * Plain JavaScript and nothing but `node:` modules: this runs before anything is installed, on any Node >= 20.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * @typedef {'runtime' | 'everything'} Extent
 * @typedef {{ version?: string, link?: boolean, dev?: boolean, optional?: boolean, devOptional?: boolean }} LockEntry
 * @typedef {{ packages?: Record<string, LockEntry> }} Lock
 */

/**
 * Packages that `extent` needs and that are absent or have another version.
 * @param {Lock} wanted package-lock.json
 * @param {Lock | undefined} present node_modules/.package-lock.json, undefined when there is none
 * @param {Extent} extent
 * @returns {string[]} their paths, e.g. `node_modules/lmdb`
 */
export function missingPackages(wanted, present, extent) {
  const installed = present?.packages ?? {}
  return Object.entries(wanted.packages ?? {})
    .filter(([path, entry]) => {
      if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return false
      if (entry.optional || entry.devOptional) return false
      if (entry.dev && extent === 'runtime') return false
      const there = installed[path]
      return there === undefined || there.version !== entry.version
    })
    .map(([path]) => path)
}

/**
 * The npm command that completes the installation. A folder that is there already may be in use by a running broker, so it is
 * completed in place (`npm install`, which keeps to the lock file); `npm ci` would empty it first. Development tools that are
 * there stay there.
 * @param {Lock | undefined} present
 * @param {Extent} extent
 * @returns {string[]} arguments of npm
 */
export function npmArguments(present, extent) {
  const hasTools = Object.values(present?.packages ?? {}).some(entry => entry.dev)
  const omit = extent === 'everything' || hasTools ? [] : ['--omit=dev']
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error']
  return present === undefined ? ['ci', ...omit, ...quiet] : ['install', '--no-save', ...omit, ...quiet]
}

/**
 * Installs what is missing; returns at once when nothing is. Two calls at the same time, from different processes too, install
 * once.
 * @param {string} root folder of package-lock.json
 * @param {Extent} extent
 * @param {(message: string) => void} report progress, a line a call
 * @throws {Error} when npm fails
 */
export async function ensureInstalled(root, extent, report) {
  if (missing(root, extent).length === 0) return
  const unlock = await lock(join(root, '.setup.lock'), report)
  try {
    const paths = missing(root, extent)
    if (paths.length === 0) return
    const [command, ...prefix] = npmCommand()
    const args = npmArguments(presentLock(root), extent)
    report(`${paths.length} packages are not installed yet: npm ${args.join(' ')}`)
    const started = performance.now()
    const result = spawnSync(command, [...prefix, ...args], {
      cwd: root,
      stdio: ['ignore', 2, 2],
      shell: command === 'npm' && process.platform === 'win32'
    })
    if (result.error) throw new Error(`npm could not be started: ${result.error.message}`)
    if (result.status !== 0) throw new Error(`npm ended with ${result.status ?? result.signal}`)
    report(`installed in ${((performance.now() - started) / 1000).toFixed(1)} s`)
  } finally {
    unlock()
  }
}

/** @param {string} root @param {Extent} extent */
function missing(root, extent) {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return missingPackages(wanted, presentLock(root), extent)
}

/** @param {string} root @returns {Lock | undefined} */
function presentLock(root) {
  const path = join(root, 'node_modules/.package-lock.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

/** The npm that runs us, or the one on the path. @returns {[string, ...string[]]} */
function npmCommand() {
  const cli = process.env.npm_execpath
  return cli?.endsWith('.js') ? [process.execPath, cli] : ['npm']
}

/**
 * Takes a lock file that holds our process id. The file of a process that is gone is taken over.
 * @param {string} path
 * @param {(message: string) => void} report
 * @returns {Promise<() => void>} gives it back
 */
export async function lock(path, report) {
  for (let waits = 0; ; waits += 1) {
    try {
      const file = openSync(path, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      return () => rmSync(path, { force: true })
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    if (waits === 0) report('another process is installing; waiting for it')
    await sleep(200)
    if (holderIsGone(path)) removeAbandoned(path)
  }
}

/**
 * Removes the lock file of a process that is gone. Several may find the same file at once, and one of them may hold a new lock
 * under its name by the time the next one comes here: so the file is first taken aside, where nobody else removes it, and looked
 * at again. A lock that is held goes back to its place.
 * @param {string} path
 */
export function removeAbandoned(path) {
  const aside = `${path}.${process.pid}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  if (holderIsGone(aside)) rmSync(aside)
  else renameSync(aside, path)
}

/** @param {string} path */
function holderIsGone(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    if (pid > 0) process.kill(pid, 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return /** @type {NodeJS.ErrnoException} */ (error).code
}
