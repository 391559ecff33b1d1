import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** Runs in a process of its own, where no native module loads. */
const program = `
  import Module from 'node:module'
  const load = Module._load
  Module._load = function (request, ...rest) {
    if (['@node-rs/crc32', 'snappy', 'lz4-napi'].includes(request)) throw new Error('no binary for this platform')
    return load.call(this, request, ...rest)
  }
  const { crc32c, crc32cImplementation } = await import('${new URL('../records/crc32c.ts', import.meta.url)}')
  const { compress, decompress } = await import('${new URL('compression.ts', import.meta.url)}')
  const bytes = Uint8Array.from({ length: 5000 }, (_, index) => index)
  const attempt = work => { try { return work().length } catch (error) { return error.code + ' ' + error.cause.message } }
  console.log(JSON.stringify({
    crc: [crc32c(bytes), crc32cImplementation()],
    snappy: [attempt(() => compress('snappy', bytes)), attempt(() => decompress('snappy', bytes.subarray(0, 6), { outputBytesMax: 9 }))],
    lz4: attempt(() => compress('lz4', bytes)),
    gzip: attempt(() => decompress('gzip', compress('gzip', bytes), { outputBytesMax: 5000 })),
    zstd: attempt(() => decompress('zstd', compress('zstd', bytes), { outputBytesMax: 5000 }))
  }))
`

test('without native modules checksums, gzip and zstd work, snappy and lz4 say that they do not', async () => {
  const args = ['--conditions=@milena/source', '--input-type=module', '--eval', program]
  const output: unknown = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  const { crc32cTable } = await import('../records/crc32c.ts')
  const missing = 'UNSUPPORTED no binary for this platform'
  expect(output).toEqual({
    crc: [crc32cTable(Uint8Array.from({ length: 5000 }, (_, index) => index)), 'javascript'],
    snappy: [missing, missing],
    lz4: missing,
    gzip: 5000,
    zstd: 5000
  })
})
