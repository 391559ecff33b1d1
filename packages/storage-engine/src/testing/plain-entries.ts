/**
 * The simplest entry format that the engine can hold: for its own tests, its README and hosts that have no format of their own.
 *
 * ```
 *   0 length u32 | 4 crc u32 of [16, length) | 8 baseOffset u64 | 16 offsetCount u32 | 20 timestamp i64 | 28 payload
 * ```
 * The base offset is outside the checksum, so that whoever appends can set it in place.
 */
import { crc32c, readUint64, viewOf, writeUint64 } from '../bytes.ts'
import type { EntryFormat } from '../log-store.ts'

const headerBytes = 28

export interface PlainEntry {
  readonly baseOffset: number
  readonly payload: Uint8Array
  /** Offsets that the entry takes. Default 1. */
  readonly offsetCount?: number
  /** Default -1n: none. */
  readonly timestamp?: bigint
}

/** The bytes of an entry. */
export function plainEntry({ baseOffset, payload, offsetCount = 1, timestamp = -1n }: PlainEntry): Uint8Array {
  const bytes = new Uint8Array(headerBytes + payload.length)
  const view = viewOf(bytes)
  view.setUint32(0, bytes.length, true)
  writeUint64(view, 8, baseOffset)
  view.setUint32(16, offsetCount, true)
  view.setBigInt64(20, timestamp, true)
  bytes.set(payload, headerBytes)
  view.setUint32(4, crc32c(bytes.subarray(16)), true)
  return bytes
}

/** The payload of an entry that begins at `at`: a view. */
export function plainPayload(bytes: Uint8Array, at = 0): Uint8Array {
  return bytes.subarray(at + headerBytes, at + viewOf(bytes).getUint32(at, true))
}

/** Entries of up to 4 MiB. */
export const plainFormat: EntryFormat = {
  headerBytes,
  entryBytesMax: 4 << 20,
  lengthAt: (bytes, at) => {
    const length = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    return length < headerBytes ? 0 : length
  },
  baseOffsetAt: (bytes, at) => readUint64(viewOf(bytes), at + 8),
  lastOffsetAt: (bytes, at) => readUint64(viewOf(bytes), at + 8) + viewOf(bytes).getUint32(at + 16, true) - 1,
  maxTimestampAt: (bytes, at) => viewOf(bytes).getBigInt64(at + 20, true),
  isIntact: (bytes, at, length) =>
    viewOf(bytes).getUint32(at + 4, true) === crc32c(bytes.subarray(at + 16, at + length))
}
