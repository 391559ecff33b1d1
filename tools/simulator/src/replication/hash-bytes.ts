/** Hash of bytes, 32 bits (FNV-1a over words): to tell batches apart, not against anybody. */
export function hashBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const words = bytes.byteLength >> 2
  let hash = 0x811c9dc5 ^ bytes.byteLength
  for (let word = 0; word < words; word++)
    hash = Math.imul(hash ^ view.getUint32(word << 2), 0x01000193) ^ (hash >>> 15)
  for (let at = words << 2; at < bytes.byteLength; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x01000193)
  return hash >>> 0
}
