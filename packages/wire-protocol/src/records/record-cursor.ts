/**
 * Walks the records inside a batch, one after the other, without an object per record: `next()` moves to the following
 * record and leaves its parts in the cursor's fields. Validation, iteration and timestamp search all stand on it.
 *
 *     record := length varint │ attributes int8 │ timestampDelta varlong │ offsetDelta varint
 *             │ keyLength varint, key │ valueLength varint, value │ headerCount varint, headers
 *     header := keyLength varint, key │ valueLength varint, value          (a length of -1 stands for null)
 *
 * Every length is held against the bytes that are really there before it is used, so damaged or hostile input costs no more
 * than reading it once. The cursor never throws: when something does not fit, `next()` answers false and `problem` says
 * what; the fields then mean nothing.
 */

const two28 = 268435456

/** A base timestamp to which any delta of three bytes can be added exactly. */
const plainBaseMax = Number.MAX_SAFE_INTEGER - 2 ** 21

/** `raw << 2 | bytes taken` of a varint of up to three bytes, before zigzag; 0 for longer ones and at the end of the bytes. */
function shortVarint(bytes: Uint8Array, position: number): number {
  const first = bytes[position]!
  if (first < 0x80) return (first << 2) | 1
  const second = bytes[position + 1]!
  if (second < 0x80) return (((second << 7) | (first & 0x7f)) << 2) | 2
  const third = bytes[position + 2]!
  if (third < 0x80) return (((third << 14) | ((second & 0x7f) << 7) | (first & 0x7f)) << 2) | 3
  return 0
}

function unzigzag(raw: number): number {
  return (raw >>> 1) ^ -(raw & 1)
}

export class RecordCursor {
  /** What is wrong with the record that `next()` stopped at; undefined at a clean end. */
  problem: string | undefined
  /** Position of the record's length field. */
  recordStart = 0
  /** First byte after the record. */
  recordEnd = 0
  attributes = 0
  /** Relative to the batch's base offset; as stored, unchecked. */
  offsetDelta = 0
  /** Timestamp in ms, exact when `timestampIsExact`, otherwise the nearest double. */
  timestampMs = 0
  timestampIsExact = true
  /** Key in `bytes[keyStart, keyStart + keyBytes)`; -1 bytes stand for null. */
  keyStart = 0
  keyBytes = -1
  /** Value in `bytes[valueStart, valueStart + valueBytes)`; -1 bytes stand for null. */
  valueStart = 0
  valueBytes = -1
  /** Headers in `bytes[headersStart, recordEnd)`. */
  headersStart = 0
  headerCount = 0

  readonly bytes: Uint8Array
  readonly end: number
  readonly baseTimestamp: bigint
  private readonly baseTimestampMs: number
  private readonly baseIsSafe: boolean
  private readonly baseIsPlain: boolean
  private position: number
  private exactTimestamp = 0n
  private wideDelta: bigint | undefined

  /** The `count` headers that `bytes` hold, as views; they were walked by `next()` before, so they fit. */
  static readHeaders(bytes: Uint8Array, count: number): { key: Uint8Array; value: Uint8Array | null }[] {
    const cursor = new RecordCursor(bytes, 0, bytes.length, 0n)
    const headers: { key: Uint8Array; value: Uint8Array | null }[] = []
    for (let index = 0; index < count; index++) {
      headers.push({ key: cursor.part() ?? bytes.subarray(0, 0), value: cursor.part() })
    }
    return headers
  }

  /** Over the records in `bytes[start, end)`, decompressed; timestamps count from `baseTimestamp`. */
  constructor(bytes: Uint8Array, start: number, end: number, baseTimestamp: bigint) {
    this.bytes = bytes
    this.position = start
    this.end = end
    this.baseTimestamp = baseTimestamp
    this.baseTimestampMs = Number(baseTimestamp)
    this.baseIsSafe = Number.isSafeInteger(this.baseTimestampMs)
    this.baseIsPlain = Math.abs(this.baseTimestampMs) <= plainBaseMax
  }

  /** Bytes behind the last record that was read. */
  get remainingBytes(): number {
    return this.end - this.position
  }

  /** The record's timestamp, ms, exact for every int64. */
  get timestamp(): bigint {
    return this.timestampIsExact ? BigInt(this.timestampMs) : this.exactTimestamp
  }

  /** Moves to the next record. False at the end of the bytes or at a record that does not fit (`problem` is set). */
  next(): boolean {
    return this.nextPlain() || this.nextCarefully()
  }

  /**
   * The record as nearly all are: every number in at most three bytes, no headers. Anything else, damage included, is left to
   * `nextCarefully` with nothing changed. Kept in local variables: this is the loop that a produce pays for every record.
   */
  private nextPlain(): boolean {
    const bytes = this.bytes
    let position = this.position
    if (this.problem !== undefined || position >= this.end || !this.baseIsPlain) return false
    const length = shortVarint(bytes, position)
    const start = position + (length & 3)
    const end = start + (length >>> 3)
    if (length <= 3 || (length & 4) !== 0 || end > this.end) return false
    const attributes = bytes[start]!
    const timestampDelta = shortVarint(bytes, start + 1)
    position = start + 1 + (timestampDelta & 3)
    const offsetDelta = shortVarint(bytes, position)
    position += offsetDelta & 3
    const key = shortVarint(bytes, position)
    const keyStart = position + (key & 3)
    const keyBytes = (key & 4) !== 0 ? -1 : key >>> 3
    position = keyBytes > 0 ? keyStart + keyBytes : keyStart
    if (timestampDelta === 0 || offsetDelta === 0 || key === 0 || position >= end) return false
    const value = shortVarint(bytes, position)
    const valueStart = position + (value & 3)
    const valueBytes = (value & 4) !== 0 ? -1 : value >>> 3
    position = valueBytes > 0 ? valueStart + valueBytes : valueStart
    if (value === 0 || position !== end - 1 || bytes[position] !== 0) return false
    this.recordStart = this.position
    this.recordEnd = end
    this.position = end
    this.attributes = attributes
    this.offsetDelta = unzigzag(offsetDelta >>> 2)
    this.timestampMs = this.baseTimestampMs + unzigzag(timestampDelta >>> 2)
    this.timestampIsExact = true
    this.keyStart = keyStart
    this.keyBytes = keyBytes
    this.valueStart = valueStart
    this.valueBytes = valueBytes
    this.headersStart = end
    this.headerCount = 0
    return true
  }

  private nextCarefully(): boolean {
    if (this.problem !== undefined || this.position >= this.end) return false
    this.recordStart = this.position
    const length = this.varint(this.end)
    if (this.problem !== undefined) return false
    const bodyStart = this.position
    if (length < 0 || length > this.end - bodyStart) {
      return this.fail(`record of ${length} bytes where ${this.end - bodyStart} are left`)
    }
    const end = bodyStart + length
    this.recordEnd = end
    if (length === 0) return this.fail('record without attributes')
    this.attributes = this.bytes[this.position++]!
    this.readTimestamp(end)
    this.offsetDelta = this.varint(end)
    this.keyBytes = this.length(end)
    this.keyStart = this.position
    this.skip(this.keyBytes)
    this.valueBytes = this.length(end)
    this.valueStart = this.position
    this.skip(this.valueBytes)
    this.headerCount = this.varint(end)
    this.headersStart = this.position
    if (this.headerCount !== 0) this.skipHeaders(end)
    if (this.problem === undefined && this.position !== end) {
      this.fail(`record of ${length} bytes whose parts take ${this.position - bodyStart}`)
    }
    return this.problem === undefined
  }

  private fail(problem: string): false {
    this.problem ??= problem
    return false
  }

  private skip(byteCount: number): void {
    if (byteCount > 0) this.position += byteCount
  }

  private skipHeaders(end: number): void {
    // Each header takes two bytes at least, so a count beyond the remaining bytes can be refused unread.
    if (this.headerCount < 0 || this.headerCount > end - this.position) {
      this.fail(`${this.headerCount} headers in ${end - this.position} bytes`)
      return
    }
    for (let index = 0; index < this.headerCount; index++) {
      const keyBytes = this.length(end)
      if (keyBytes < 0) this.fail('header without a key')
      this.skip(keyBytes)
      this.skip(this.length(end))
      if (this.problem !== undefined) return
    }
  }

  /** A length prefix: checked against `end`; every negative one reads as -1, null, as Kafka reads it. */
  private length(end: number): number {
    const length = this.varint(end)
    if (length < 0) return -1
    if (length <= end - this.position) return length
    this.fail(`part of ${length} bytes where ${end - this.position} are left`)
    return 0
  }

  private part(): Uint8Array | null {
    const length = this.length(this.end)
    const start = this.position
    this.skip(length)
    return length < 0 ? null : this.bytes.subarray(start, start + length)
  }

  private readTimestamp(end: number): void {
    const delta = this.varlong(end)
    const sum = this.baseTimestampMs + delta
    if (this.wideDelta === undefined && this.baseIsSafe && Number.isSafeInteger(sum)) {
      this.timestampMs = sum
      this.timestampIsExact = true
      return
    }
    this.exactTimestamp = BigInt.asIntN(64, this.baseTimestamp + (this.wideDelta ?? BigInt(delta)))
    this.timestampMs = Number(this.exactTimestamp)
    this.timestampIsExact = false
  }

  /** Zigzag int32 in at most five bytes. */
  private varint(end: number): number {
    let raw = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.position >= end) {
        this.fail('number cut off')
        return 0
      }
      const byte = this.bytes[this.position++]!
      raw |= (byte & 0x7f) << shift
      if (byte < 0x80) return (raw >>> 1) ^ -(raw & 1)
    }
    this.fail('number of more than 32 bits')
    return 0
  }

  /** Zigzag int64 in at most ten bytes: as a number up to 49 bits, beyond that left in `wideDelta`. */
  private varlong(end: number): number {
    this.wideDelta = undefined
    let low = 0
    let high = 0
    for (let index = 0; index < 7; index++) {
      if (this.position >= end) {
        this.fail('number cut off')
        return 0
      }
      const byte = this.bytes[this.position++]!
      if (index < 4) low |= (byte & 0x7f) << (7 * index)
      else high |= (byte & 0x7f) << (7 * (index - 4))
      if (byte < 0x80) {
        const raw = high * two28 + low
        return (low & 1) === 0 ? raw / 2 : -(raw + 1) / 2
      }
    }
    return this.wideVarlong(end, BigInt(high * two28 + low))
  }

  private wideVarlong(end: number, firstBits: bigint): number {
    let raw = firstBits
    for (let shift = 49n; shift < 70n; shift += 7n) {
      if (this.position >= end) {
        this.fail('number cut off')
        return 0
      }
      const byte = this.bytes[this.position++]!
      raw |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        const bits = BigInt.asUintN(64, raw)
        this.wideDelta = (bits >> 1n) ^ -(bits & 1n)
        return 0
      }
    }
    this.fail('number of more than 64 bits')
    return 0
  }
}
