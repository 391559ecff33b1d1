/**
 * Where node keeps the compiled form of our code between starts: it halves the time to ready. One folder an installation, beside
 * the packages that it is made from and as trustworthy as they are. Real implementation of a port: looks at folders.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** `NODE_COMPILE_CACHE` if it is set; else in the nearest `node_modules` that we may write to; else nowhere. */
export function compileCacheFolder(): string | undefined {
  const chosen = process.env['NODE_COMPILE_CACHE']
  if (chosen !== undefined) return chosen
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    if (existsSync(modules) && isWritable(modules)) return join(modules, '.cache', 'milena', 'compile')
  }
  return undefined
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
