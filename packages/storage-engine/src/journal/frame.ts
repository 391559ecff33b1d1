/**
 * The journal's frame: one group commit, one device write. All fields little-endian; a frame begins and ends on a page.
 *
 * ```
 *    0  magic        u32  0x314a4c4d ("MLJ1": format version 1)
 *    4  headerCrc    u32  CRC-32C of bytes [8, 72 + 48 * recordCount): header and directory
 *    8  identity     16 B the store's identity: frames of another store never count
 *   24  sequence     u64  1, 2, 3, ... without holes
 *   32  complete     u64  the last commit known complete when this one was issued (sequence - 1, the depth is 1)
 *   40  frameBytes   u32  length of the whole frame, padding included
 *   44  recordCount  u32
 *   48  payloadBytes u32
 *   52  payloadCrc   u32  CRC-32C of the payload
 *   56  chain        u32  headerCrc of the previous frame (0 for the first after a recovery): a misplaced frame does not fit
 *   60  reserved     12 B zero
 *   72  directory    recordCount records of 48 B
 *    …  payload      the inline bytes of all records, in order
 *    …  zeros        up to the page
 *
 *   record: 0 kind u8 | 4 logNumber u32 | 8 byteCount u32 | 12 payloadAt u32 (inline, name) or headerSum u32 (extent)
 *          16 segmentBase u64 | 24 filePosition u64 | 32 firstOffset u64 | 40 nextOffset u64
 * ```
 * Header and directory have their own checksum: when only payload bytes are damaged it is still known which entries of which
 * logs are concerned.
 */
import { assert } from '../assert.ts'
import { crc32c, readUint64, viewOf, writeUint64 } from '../bytes.ts'
import { pageBytes } from '../memory/arena.ts'

export const frameHeaderBytes = 72
export const recordBytes = 48
export const identityBytes = 16
const magic = 0x314a4c4d

export const RecordKind = {
  /** Entries, inline in the payload. */
  inline: 1,
  /** Entries written to the segment directly; `headerSum` binds them. */
  extent: 2,
  /** Payload is the name of log `logNumber`, the places are those of the log's next record, which is its first in this journal file. */
  name: 3,
  /** The log's end after the previous commit, when that commit wrote it and this one does not: what a lost frame held. */
  previous: 4,
  /** Like `extent`, but `payload` is the CRC-32C of all its bytes (cheaper than headers when entries are small). */
  extentOfBytes: 5,
  /** Like `name`, and nothing that earlier frames hold of the log counts any more: it was made, cut or reset since. */
  anew: 6
} as const
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind]

export interface FrameRecord {
  readonly kind: RecordKind
  readonly logNumber: number
  readonly byteCount: number
  /** Position in the frame (inline, name), or the checksum over the entries' headers (extent). */
  readonly payload: number
  readonly segmentBase: number
  readonly filePosition: number
  readonly firstOffset: number
  readonly nextOffset: number
}

/** Builds one frame after another in the same buffer. */
export class FrameBuilder {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #identity: Uint8Array
  #recordCount = 0
  #recordsPlanned = 0
  #payloadEnd = 0

  /** `bytes`: page-aligned memory; its length bounds a frame. */
  constructor(bytes: Uint8Array, identity: Uint8Array) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#identity = identity
  }

  /** Starts a frame of exactly `recordCount` records. */
  begin(recordCount: number): void {
    this.#recordCount = 0
    this.#recordsPlanned = recordCount
    this.#payloadEnd = frameHeaderBytes + recordCount * recordBytes
  }

  /** Where the next payload byte goes. */
  get payloadAt(): number {
    return this.#payloadEnd
  }

  /** Copies `source` behind the payload. The caller has planned so that it fits. */
  addPayload(source: Uint8Array): void {
    this.#bytes.set(source, this.#payloadEnd)
    this.#payloadEnd += source.length
  }

  addRecord(
    kind: RecordKind,
    logNumber: number,
    byteCount: number,
    payload: number,
    segmentBase: number,
    filePosition: number,
    firstOffset: number,
    nextOffset: number
  ): void {
    assert(this.#recordCount < this.#recordsPlanned, 'a frame holds the records that were planned')
    const at = frameHeaderBytes + this.#recordCount++ * recordBytes
    const view = this.#view
    view.setUint32(at, kind, true)
    view.setUint32(at + 4, logNumber, true)
    view.setUint32(at + 8, byteCount, true)
    view.setUint32(at + 12, payload, true)
    writeUint64(view, at + 16, segmentBase)
    writeUint64(view, at + 24, filePosition)
    writeUint64(view, at + 32, firstOffset)
    writeUint64(view, at + 40, nextOffset)
  }

  /** Pads the frame and seals it with its checksums. Returns its bytes, valid until the next `begin`. */
  finish(sequence: number, complete: number, chain: number): Uint8Array {
    assert(this.#recordCount === this.#recordsPlanned, 'a frame holds the records that were planned')
    const directoryEnd = frameHeaderBytes + this.#recordCount * recordBytes
    const end = this.#payloadEnd
    const frameBytes = frameBytesFor(this.#recordCount, end - directoryEnd)
    this.#bytes.fill(0, end, frameBytes)
    const view = this.#view
    view.setUint32(0, magic, true)
    this.#bytes.set(this.#identity, 8)
    writeUint64(view, 24, sequence)
    writeUint64(view, 32, complete)
    view.setUint32(40, frameBytes, true)
    view.setUint32(44, this.#recordCount, true)
    view.setUint32(48, end - directoryEnd, true)
    view.setUint32(52, crc32c(this.#bytes.subarray(directoryEnd, end)), true)
    view.setUint32(56, chain, true)
    this.#bytes.fill(0, 60, frameHeaderBytes)
    view.setUint32(4, crc32c(this.#bytes.subarray(8, directoryEnd)), true)
    return this.#bytes.subarray(0, frameBytes)
  }
}

/** Bytes on disk of a frame with this many records and payload bytes. */
export function frameBytesFor(recordCount: number, payloadBytes: number): number {
  return Math.ceil((frameHeaderBytes + recordCount * recordBytes + payloadBytes) / pageBytes) * pageBytes
}

/** A frame as found in a journal file. */
export interface Frame {
  readonly sequence: number
  readonly complete: number
  readonly frameBytes: number
  readonly headerCrc: number
  readonly chain: number
  readonly records: readonly FrameRecord[]
  /** Where the payload is, from the start of the frame. */
  readonly payloadStart: number
  readonly payloadEnd: number
  readonly payloadCrc: number
}

/** Whether the payload of the frame at `at` is what was written. */
export function payloadIsIntact(frame: Frame, bytes: Uint8Array, at: number): boolean {
  return crc32c(bytes.subarray(at + frame.payloadStart, at + frame.payloadEnd)) === frame.payloadCrc
}

/** The sequence in a frame header at `at`, without checking the frame; 0 when no frame of this store can begin there. */
export function peekSequence(bytes: Uint8Array, at: number, identity: Uint8Array): number {
  if (at + frameHeaderBytes > bytes.length) return 0
  const view = viewOf(bytes)
  if (view.getUint32(at, true) !== magic) return 0
  for (let index = 0; index < identityBytes; index++) if (bytes[at + 8 + index] !== identity[index]) return 0
  const sequence = readUint64(view, at + 24)
  return Number.isSafeInteger(sequence) ? sequence : 0
}

/** Parses the frame at `at`; undefined when header or directory is not valid. */
export function parseFrame(bytes: Uint8Array, at: number, identity: Uint8Array): Frame | undefined {
  const sequence = peekSequence(bytes, at, identity)
  if (sequence === 0) return undefined
  const view = viewOf(bytes)
  const frameBytes = view.getUint32(at + 40, true)
  const recordCount = view.getUint32(at + 44, true)
  const payloadBytes = view.getUint32(at + 48, true)
  const directoryEnd = frameHeaderBytes + recordCount * recordBytes
  const end = directoryEnd + payloadBytes
  if (frameBytes % pageBytes !== 0 || end > frameBytes || at + frameBytes > bytes.length) return undefined
  const headerCrc = view.getUint32(at + 4, true)
  if (crc32c(bytes.subarray(at + 8, at + directoryEnd)) !== headerCrc) return undefined
  const records: FrameRecord[] = []
  for (let index = 0; index < recordCount; index++) {
    const record = at + frameHeaderBytes + index * recordBytes
    records.push({
      kind: view.getUint32(record, true) as RecordKind,
      logNumber: view.getUint32(record + 4, true),
      byteCount: view.getUint32(record + 8, true),
      payload: view.getUint32(record + 12, true),
      segmentBase: readUint64(view, record + 16),
      filePosition: readUint64(view, record + 24),
      firstOffset: readUint64(view, record + 32),
      nextOffset: readUint64(view, record + 40)
    })
  }
  return {
    sequence,
    complete: readUint64(view, at + 32),
    frameBytes,
    headerCrc,
    chain: view.getUint32(at + 56, true),
    records,
    payloadStart: directoryEnd,
    payloadEnd: end,
    payloadCrc: view.getUint32(at + 52, true)
  }
}
