/**
 * `npm start [-- arguments]`, `npm run cluster` and `npm test [-- files]`: the way in, from a fresh clone with nothing but
 * Node >= 20 and npm.
 *
 *   npm ─► run.mjs start ─► install what running needs ─► Node 26 becomes `apps/broker/bin/milena.js start ...`
 *      ├─► run.mjs cluster  (the same, `tools/cluster/src/main.ts`: three such nodes on this machine)
 *      └─► run.mjs test  ─► install everything         ─► Node 26 becomes `tools/setup/src/checks.ts ...`
 */
import { becomeMilena, becomeSource, say } from './sources.mjs'

/** @type {Record<string, (args: string[]) => Promise<void>>} */
const commands = {
  start: args => becomeMilena(['start', ...args]),
  cluster: args => becomeSource('runtime', 'tools/cluster/src/main.ts', args),
  test: args => becomeSource('everything', 'tools/setup/src/checks.ts', args)
}

const [name = '', ...args] = process.argv.slice(2)
const command = commands[name]
if (command !== undefined) await command(args)
else {
  say(`unknown command ${JSON.stringify(name)}; there are: ${Object.keys(commands).join(', ')}`)
  process.exitCode = 2
}
