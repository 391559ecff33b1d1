/**
 * `npm start [-- arguments]`, `npm run cluster` and `npm test [-- files]`: the way in, from a fresh clone with nothing but Node >= 20 and npm.
 *
 *   npm ─► run.mjs start ─► install what running needs ─► Node 26 becomes `apps/broker/src/cli.ts start ...`
 *      ├─► run.mjs cluster  (the same, `tools/cluster/src/main.ts`: three such nodes on this machine)
 *      └─► run.mjs test  ─► install everything         ─► Node 26 becomes `tools/setup/src/checks.ts ...`
 *
 * Everything that is said here goes to stderr; stdout belongs to the program that runs.
 */
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './installation.mjs'
import { become, findNode } from './runtime.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const say = (/** @type {string} */ message) => void process.stderr.write(`milena: ${message}\n`)

/** @type {Record<string, { extent: 'runtime' | 'everything', program: string[] }>} */
const commands = {
  start: {
    extent: 'runtime',
    program: [
      '--conditions=@milena/source',
      '--disable-warning=ExperimentalWarning',
      join(root, 'apps/broker/src/cli.ts'),
      'start'
    ]
  },
  cluster: {
    extent: 'runtime',
    program: [
      '--conditions=@milena/source',
      '--disable-warning=ExperimentalWarning',
      join(root, 'tools/cluster/src/main.ts')
    ]
  },
  test: { extent: 'everything', program: [join(root, 'tools/setup/src/checks.ts')] }
}

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (command === undefined) {
  say(`unknown command ${JSON.stringify(name)}; there are: ${Object.keys(commands).join(', ')}`)
  process.exitCode = 2
} else {
  try {
    await ensureInstalled(root, command.extent, say)
    const environment = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/milena/compile'), ...process.env }
    await become(findNode(root), [...command.program, ...args], environment)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
