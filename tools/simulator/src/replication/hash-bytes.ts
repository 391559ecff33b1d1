/** Hash of bytes, 32 bits: to tell batches apart, not against anybody. `initial`: the hash of what came before. */
import { crc32 } from 'node:zlib'

export function hashBytes(bytes: Uint8Array, initial = 0): number {
  return crc32(bytes, initial)
}
