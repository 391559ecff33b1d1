#!/usr/bin/env node
/**
 * `milena`: the command line. Turns node's compile cache on before anything else is loaded; see compile-cache.ts.
 */
import { enableCompileCache } from 'node:module'
import { compileCacheFolder } from './compile-cache.ts'

const folder = compileCacheFolder()
if (folder !== undefined) enableCompileCache(folder)
const { main } = await import('./main.ts')
await main(process.argv.slice(2))
