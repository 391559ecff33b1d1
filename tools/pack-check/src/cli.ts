/**
 * Does every package stand alone? For each one that is published:
 *
 *   build ─► npm pack ─► install the tarball in an empty folder, with those of its siblings that it needs
 *                          ├─ publint and are-the-types-wrong find nothing
 *                          ├─ every entry is imported by a plain Node 26, without the condition that leads to our sources
 *                          ├─ a strict TypeScript project that uses every entry compiles
 *                          ├─ its commands say how they are used, and the broker starts and stops
 *                          └─ the README's example runs
 *
 * Prints a line a check and, last, `N passed, N failed`. Arguments narrow the run: `npm run check:packages -- raft gateway`.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startInstalledBroker } from './broker-start.ts'
import { type Ended, runCommand } from './command.ts'
import { importedPackages, readmeExample } from './readme-example.ts'
import { findPublishable, type Publishable, withSiblings } from './workspaces.ts'

const root = resolve(import.meta.dirname, '../../..')
const commands = join(root, 'node_modules/.bin')
const tally = { passed: 0, failed: 0 }

/** Prints and counts one check. Returns whether it passed. */
function note(subject: string, check: string, ended: Ended): boolean {
  tally[ended.passed ? 'passed' : 'failed'] += 1
  process.stdout.write(`${ended.passed ? 'passed' : 'FAILED'}  ${subject}: ${check}\n`)
  if (!ended.passed) process.stdout.write(`${ended.output.trim().replaceAll(/^/gm, '        ')}\n`)
  return ended.passed
}

/** Builds from nothing, so that no file of an earlier build is packed. */
async function build(packages: readonly Publishable[]): Promise<boolean> {
  for (const { folder } of packages) {
    rmSync(join(folder, 'dist'), { recursive: true, force: true })
    rmSync(join(folder, 'tsconfig.lib.tsbuildinfo'), { force: true })
  }
  const projects = packages.map(it => it.name).join(',')
  const args = ['run-many', '-t', 'build', '-p', projects, '--output-style=static', '--skip-nx-cache']
  return note('all', 'build', await runCommand(join(commands, 'nx'), args, root))
}

/** Packs into `target`. Returns the tarball's path. */
async function pack(it: Publishable, target: string): Promise<string | undefined> {
  mkdirSync(target, { recursive: true })
  const ended = await runCommand(
    'npm',
    ['pack', '--silent', '--ignore-scripts', '--pack-destination', target],
    it.folder
  )
  const name = `${it.name.replace('@', '').replace('/', '-')}-${it.version}.tgz`
  return note(it.name, 'packs', ended) ? join(target, name) : undefined
}

function exampleOf(it: Publishable): string | undefined {
  const path = join(it.folder, 'README.md')
  return existsSync(path) ? readmeExample(readFileSync(path, 'utf8')) : undefined
}

/** An empty project with the package, its siblings, its peers and what its example uses installed. */
async function install(
  it: Publishable,
  tarballs: ReadonlyMap<string, string>,
  folder: string,
  all: readonly Publishable[]
) {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stranger', private: true, type: 'module' }))
  const wanted = withSiblings(it.name, all).map(name => tarballs.get(name) ?? name)
  const used = importedPackages(exampleOf(it) ?? '').map(name => [name, it.tools[name]] as const)
  const beside = [...Object.entries(it.peers), ...used.filter(([, range]) => range !== undefined)]
  const peers = beside.map(([name, range]) => `${name}@${range}`)
  const args = [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=error',
    ...wanted,
    ...peers
  ]
  return note(it.name, 'installs in an empty folder', await runCommand('npm', args, folder))
}

const specifier = (name: string, entry: string) => (entry === '.' ? name : `${name}${entry.slice(1)}`)

async function importEntries(it: Publishable, folder: string): Promise<void> {
  for (const entry of it.entries) {
    const name = specifier(it.name, entry)
    const program = `const all = await import(${JSON.stringify(name)}); if (Object.keys(all).length === 0) throw new Error('exports nothing')`
    const ended = await runCommand(process.execPath, ['--input-type=module', '-e', program], folder)
    note(it.name, `plain Node imports ${name}`, ended)
  }
}

async function compileAgainst(it: Publishable, folder: string): Promise<void> {
  const lines = it.entries.map(
    (entry, i) => `import * as entry${i} from '${specifier(it.name, entry)}'\nconsole.log(entry${i})\n`
  )
  writeFileSync(join(folder, 'uses.ts'), lines.join(''))
  const compilerOptions = {
    ...{ target: 'es2024', module: 'nodenext', strict: true, exactOptionalPropertyTypes: true, noEmit: true },
    ...{
      lib: ['es2024', 'esnext.disposable'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
      skipLibCheck: true
    }
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['uses.ts'] }))
  note(it.name, 'compiles in a strict project', await runCommand(join(commands, 'tsc'), ['-p', folder], folder))
}

async function askCommands(it: Publishable, folder: string): Promise<void> {
  for (const command of it.commands) {
    const path = join(folder, 'node_modules/.bin', command)
    note(it.name, `${command} --help`, await runCommand(process.execPath, [path, '--help'], folder))
  }
  if (it.commands.includes('milena')) note(it.name, 'milena start', await startInstalledBroker(folder))
}

async function runExample(it: Publishable, folder: string): Promise<void> {
  const example = exampleOf(it)
  if (example === undefined) {
    note(it.name, "the README's example", { passed: false, output: 'README.md has no ```ts block' })
    return
  }
  writeFileSync(join(folder, 'example.ts'), example)
  const ended = await runCommand(process.execPath, ['--disable-warning=ExperimentalWarning', 'example.ts'], folder)
  note(it.name, "the README's example runs", ended)
}

async function check(
  it: Publishable,
  tarballs: ReadonlyMap<string, string>,
  place: string,
  all: readonly Publishable[]
) {
  const tarball = tarballs.get(it.name)
  if (tarball === undefined) return
  note(it.name, 'publint', await runCommand(join(commands, 'publint'), ['run', tarball, '--strict'], root))
  const attw = ['--profile', 'esm-only', '--no-emoji', '--format', 'ascii', tarball]
  note(it.name, 'are the types right', await runCommand(join(commands, 'attw'), attw, root))
  const folder = join(place, it.name.split('/').at(-1) ?? it.name)
  if (!(await install(it, tarballs, folder, all))) return
  await importEntries(it, folder)
  await compileAgainst(it, folder)
  await askCommands(it, folder)
  await runExample(it, folder)
}

const all = findPublishable(root)
const names = process.argv.slice(2)
const chosen = all.filter(
  it => names.length === 0 || names.some(name => it.name === name || it.name.endsWith(`/${name}`))
)
const needed = all.filter(it => chosen.some(one => withSiblings(one.name, all).includes(it.name)))
const place = mkdtempSync(join(tmpdir(), 'milena-pack-'))
try {
  if (await build(needed)) {
    const tarballs = new Map<string, string>()
    for (const it of needed) {
      const tarball = await pack(it, join(place, 'tarballs'))
      if (tarball !== undefined) tarballs.set(it.name, tarball)
    }
    for (const it of chosen) await check(it, tarballs, place, all)
  }
} finally {
  rmSync(place, { recursive: true, force: true })
}
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`)
process.exitCode = tally.failed > 0 ? 1 : 0
