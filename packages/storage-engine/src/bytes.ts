/** Little-endian fields of our own formats. Integers above 32 bits are safe integers, stored as 64 bits in two halves. */
import { crc32c as nodeCrc32c } from '@node-rs/crc32'

/** CRC-32C (Castagnoli) of `bytes`, continuing from `initial`. */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  return nodeCrc32c(bytes, initial) >>> 0
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function writeUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}

/** Not necessarily a safe integer when the bytes are damaged: check the checksum first. */
export function readUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}
