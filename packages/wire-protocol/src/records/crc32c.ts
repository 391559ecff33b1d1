/**
 * CRC-32C (Castagnoli), the checksum of record batches.
 *
 * Long inputs go to `@node-rs/crc32`, which uses the processor's CRC instruction; for short ones the call into native code
 * costs more than the sum, so a table in JavaScript does it, eight bytes at a time. Where the native module cannot load
 * (a platform without a prebuilt binary) the table does everything, correctly and about six times slower:
 * `crc32cImplementation()` tells which, so that a host can say so at start.
 */
import { createRequire } from 'node:module'

/** Inputs of at least this many bytes go to the native module; measured in records.bench.ts. */
export const nativeFromBytes = 224

type Native = (input: Uint8Array, initial?: number) => number

const tables = makeTables()
let native: Native | null | undefined

/** Checksum of `bytes[start, end)`, unsigned. `initial` is the checksum of what came before, for input in pieces. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length, initial = 0): number {
  if (end - start >= nativeFromBytes) {
    if (native === undefined) native = loadNative()
    if (native !== null) return native(bytes.subarray(start, end), initial)
  }
  return crc32cTable(bytes, start, end, initial)
}

/** Which implementation serves long inputs. Loads the native module if that has not happened yet. */
export function crc32cImplementation(): 'native' | 'javascript' {
  if (native === undefined) native = loadNative()
  return native === null ? 'javascript' : 'native'
}

function loadNative(): Native | null {
  try {
    const module: { crc32c: Native } = createRequire(import.meta.url)('@node-rs/crc32')
    return module.crc32c
  } catch {
    return null
  }
}

/** The same in JavaScript, slicing by eight. Exported for machines without the native module and for its tests. */
export function crc32cTable(bytes: Uint8Array, start = 0, end: number = bytes.length, initial = 0): number {
  const table = tables
  let crc = ~initial
  let position = start
  for (; position + 8 <= end; position += 8) {
    const low =
      crc ^
      (bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24))
    crc =
      table[1792 + (low & 0xff)]! ^
      table[1536 + ((low >>> 8) & 0xff)]! ^
      table[1280 + ((low >>> 16) & 0xff)]! ^
      table[1024 + (low >>> 24)]! ^
      table[768 + bytes[position + 4]!]! ^
      table[512 + bytes[position + 5]!]! ^
      table[256 + bytes[position + 6]!]! ^
      table[bytes[position + 7]!]!
  }
  for (; position < end; position++) crc = table[(crc ^ bytes[position]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

/** Eight tables of 256 in one array: table k advances a byte's remainder by k further zero bytes. */
function makeTables(): Int32Array {
  const reversedPolynomial = 0x82f63b78
  const result = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? reversedPolynomial : 0)
    result[byte] = remainder
  }
  for (let index = 256; index < 8 * 256; index++) {
    const previous = result[index - 256]!
    result[index] = (previous >>> 8) ^ result[previous & 0xff]!
  }
  return result
}
