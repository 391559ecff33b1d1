/**
 * Running our sources: what must be installed, which Node, which flags.
 *
 * Everything that is said here goes to stderr; stdout belongs to the program that runs. Plain JavaScript and nothing but `node:`
 * modules: this runs before anything is installed, on any Node >= 20.
 */
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './installation.mjs'
import { become, findNode } from './runtime.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** Tells the user. */
export const say = (/** @type {string} */ message) => void process.stderr.write(`milena: ${message}\n`)

/**
 * Installs what running needs, then goes on as `milena ARGS`.
 * @param {string[]} args
 */
export const becomeMilena = args => becomeSource('runtime', 'apps/broker/bin/milena.js', args)

/**
 * Installs what `extent` asks for, then goes on as a Node 26 that runs `program`. Sets exit code 1 when that cannot be.
 * @param {import('./installation.mjs').Extent} extent
 * @param {string} program from the root
 * @param {string[]} args
 */
export async function becomeSource(extent, program, args) {
  try {
    await ensureInstalled(root, extent, say)
    const flags = ['--conditions=@milena/source', '--disable-warning=ExperimentalWarning']
    const environment = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/milena/compile'), ...process.env }
    await become(findNode(root), [...flags, join(root, program), ...args], environment)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
