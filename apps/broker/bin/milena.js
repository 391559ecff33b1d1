#!/usr/bin/env node
/**
 * `milena`: the way in, whether the package was installed (dist/) or stands in a checkout (src/, which Node 26 runs as it is).
 *
 *   installed, under node_modules                      ─► dist/main.js
 *   checkout, by a Node that resolves to sources       ─► src/main.ts
 *   checkout, in any other way (`npx milena`, by hand) ─► tools/setup: this file again, as a Node 26 with the right flags
 *
 * Plain JavaScript that an older Node understands, too, and the compile cache is on before the first TypeScript is loaded: without
 * it Node brings up its type stripper, which costs 20 MB for the rest of the process's life.
 */
import { accessSync, constants } from 'node:fs'
import module from 'node:module'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../..')
const args = process.argv.slice(2)
const flags = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')

if (here.includes(`${sep}node_modules${sep}`)) await run('../dist/main.js', here)
else if (flags.includes('@milena/source')) await run('../src/main.ts', root)
else {
  const { becomeMilena } = await import('../../../tools/setup/sources.mjs')
  await becomeMilena(args)
}

/**
 * Loads the program and gives it the arguments.
 * @param {string} program relative to this file
 * @param {string} installation where to look for a place of the compile cache
 */
async function run(program, installation) {
  const folder = compileCacheFolder(installation)
  if (folder !== undefined) {
    module.enableCompileCache?.(folder)
    process.env['NODE_COMPILE_CACHE'] = folder // for the processes of the shards
  }
  /** @type {{ main(args: readonly string[]): Promise<void> }} */
  const { main } = await import(program)
  await main(args)
}

/**
 * Where Node keeps the compiled form of our code between starts: it halves the time to ready. One folder an installation, beside
 * the packages that it is made from and as trustworthy as they are: `NODE_COMPILE_CACHE` if it is set, else in the nearest
 * `node_modules` that we may write to, else nowhere.
 * @param {string} from
 */
function compileCacheFolder(from) {
  const chosen = process.env['NODE_COMPILE_CACHE']
  if (chosen !== undefined) return chosen
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    if (isWritable(modules)) return join(modules, '.cache', 'milena', 'compile')
  }
  return undefined
}

/** @param {string} folder */
function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
