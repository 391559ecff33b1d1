/**
 * The model that the store is compared with in tests: every log as a plain list of entries, and what must be true of it.
 * Part of the tests, not of the package.
 */
import type { SeededRandom } from '../disks/seeded-random.ts'
import { StoreError } from '../errors.ts'
import type { Log, LogFold, LogStore } from '../log-store.ts'
import { plainEntry, plainFormat } from '../testing/plain-entries.ts'

export interface ModelEntry {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: bigint
  readonly bytes: Uint8Array
}

export class ModelLog {
  readonly name: string
  entries: ModelEntry[] = []
  startOffset = 0
  /** Offsets below were acknowledged as durable. */
  acknowledged = 0
  /** A truncation that was asked for and not answered: the log may end here as well. */
  cutTo: number | undefined
  /** Entries were cut after others had been trimmed: the fold may have lost what was trimmed. */
  foldUnknown = false
  /** A trim that was asked for and not answered. */
  trimTo: number | undefined
  /** A reset that was asked for and not answered: the log may be empty there, or what it was before. */
  resetTo: number | undefined
  #emptyAt = 0

  constructor(name: string) {
    this.name = name
  }

  get endOffset(): number {
    return this.entries.at(-1)?.nextOffset ?? this.#emptyAt
  }

  /** Everything is gone, the log goes on at `offset`. */
  reset(offset: number): void {
    this.entries = []
    this.startOffset = this.acknowledged = this.#emptyAt = offset
    this.foldUnknown = false
    this.cutTo = this.trimTo = this.resetTo = undefined
  }
}

/** Entries applied, as the engine's folds see them: a count and a sum that order matters to. */
export class CountingFold implements LogFold {
  count = 0
  sum = 0

  apply(entry: Uint8Array): void {
    this.count++
    this.sum = (this.sum * 31 + plainFormat.baseOffsetAt(entry, 0) + entry.length) % 1_000_000_007
  }

  snapshot(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify([this.count, this.sum]))
  }

  restore(snapshot: Uint8Array | undefined): void {
    ;[this.count, this.sum] = snapshot === undefined ? [0, 0] : JSON.parse(new TextDecoder().decode(snapshot))
  }

  replay(entry: Uint8Array): void {
    this.apply(entry)
  }
}

/** Of a hundred entries so many, counted from the first, are shorter than so many bytes. */
const ENTRY_SIZES = [
  [60, 300],
  [90, 6_000],
  [98, 40_000],
  [100, 200_000]
] as const

/** A random entry for the end of a log: mostly small, sometimes larger than a page, rarely larger than any inline limit. */
export function randomEntry(random: SeededRandom, baseOffset: number): ModelEntry {
  const kind = random.below(100)
  const [, byteCountMax] = ENTRY_SIZES.find(([share]) => kind < share)!
  const payload = new Uint8Array(random.below(byteCountMax))
  for (let at = 0; at < payload.length; at += 1 + (payload.length >> 6)) payload[at] = random.below(256)
  const offsetCount = 1 + random.below(5)
  const timestamp = random.chance(0.1) ? -1n : BigInt(1_000_000 + random.below(1_000_000))
  const bytes = plainEntry({ baseOffset, payload, offsetCount, timestamp })
  return { baseOffset, nextOffset: baseOffset + offsetCount, timestamp, bytes }
}

export function concat(slices: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0))
  let at = 0
  for (const slice of slices) {
    bytes.set(slice, at)
    at += slice.length
  }
  return bytes
}

/** Reads `[from, to)` in pieces of `maxBytes`. */
export async function readAll(log: Log, from: number, to: number, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for (let offset = from; offset < to;) {
    const result = await log.read(offset, maxBytes, to, true)
    if (result.nextOffset <= offset) throw new Error(`read at ${offset} of [${from}, ${to}) made no progress`)
    pieces.push(concat(result.slices))
    if (result.byteCount !== pieces.at(-1)!.length) throw new Error('byteCount is not the length of the slices')
    offset = result.nextOffset
    result.release()
  }
  return concat(pieces)
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0
}

/** The whole log, byte for byte, against the model; throws with what differs. */
export async function checkLog(log: Log, model: ModelLog, maxBytes: number): Promise<void> {
  const where = `log ${model.name}`
  if (log.startOffset !== model.startOffset)
    throw new Error(`${where} starts at ${log.startOffset}, not ${model.startOffset}`)
  if (log.endOffset !== model.endOffset) throw new Error(`${where} ends at ${log.endOffset}, not ${model.endOffset}`)
  const visible = model.entries.filter(entry => entry.nextOffset > model.startOffset)
  const expected = concat(visible.map(entry => entry.bytes))
  const actual = await readAll(log, log.startOffset, log.endOffset, maxBytes)
  if (!same(actual, expected))
    throw new Error(`${where}: ${actual.length} bytes read differ from ${expected.length} bytes written`)
}

/**
 * What a reopened log must be: at least what was acknowledged, nothing that was not appended, in order. The model takes over
 * what is found.
 */
export async function adoptRecovered(log: Log | undefined, model: ModelLog, maxBytes: number): Promise<void> {
  if (log === undefined) throw new Error(`log ${model.name} is gone`)
  const { resetTo } = model
  if (resetTo !== undefined && log.startOffset === resetTo && log.endOffset === resetTo) model.reset(resetTo)
  const floor = Math.min(model.acknowledged, model.cutTo ?? Infinity)
  if (log.endOffset < floor)
    throw new Error(`log ${model.name} lost acknowledged entries: ends at ${log.endOffset}, not ${floor}`)
  if (log.endOffset > model.endOffset) throw new Error(`log ${model.name} has entries that nobody appended`)
  if (log.startOffset !== model.startOffset && log.startOffset !== model.trimTo)
    throw new Error(`log ${model.name} starts at ${log.startOffset}`)
  model.entries = model.entries.filter(entry => entry.nextOffset <= log.endOffset)
  model.startOffset = log.startOffset
  model.acknowledged = log.endOffset
  model.cutTo = model.trimTo = model.resetTo = undefined
  if (log.flushedOffset !== log.endOffset) throw new Error('what was recovered is durable')
  await checkLog(log, model, maxBytes)
}

/** Timestamp look-ups against a plain search. */
export async function checkTimestamps(log: Log, model: ModelLog, random: SeededRandom): Promise<void> {
  const endBefore = log.startOffset + 1 + random.below(log.endOffset - log.startOffset + 2)
  const candidates = model.entries.filter(entry => entry.nextOffset > model.startOffset && entry.baseOffset < endBefore)
  const timestamp = BigInt(1_000_000 + random.below(1_000_000))
  const found = await log.findByTimestamp(timestamp, endBefore)
  const expected = candidates.find(entry => entry.timestamp >= timestamp)
  if (found?.baseOffset !== expected?.baseOffset)
    throw new Error(`findByTimestamp(${timestamp}, ${endBefore}) is ${found?.baseOffset}, not ${expected?.baseOffset}`)
  const from = log.startOffset + random.below(log.endOffset - log.startOffset + 1)
  const second = await log.findByTimestamp(timestamp, endBefore, from)
  const later = from < endBefore ? candidates.filter(entry => entry.nextOffset > from) : []
  const wanted = later.find(entry => entry.timestamp >= timestamp)
  if (second?.baseOffset !== wanted?.baseOffset)
    throw new Error(
      `findByTimestamp(${timestamp}, ${endBefore}, ${from}) is ${second?.baseOffset}, not ${wanted?.baseOffset}`
    )
  let largest: ModelEntry | undefined
  for (const entry of candidates)
    if (entry.timestamp >= 0n && entry.timestamp > (largest?.timestamp ?? -1n)) largest = entry
  const maximum = await log.findMaxTimestamp(endBefore)
  if (maximum?.baseOffset !== largest?.baseOffset)
    throw new Error(`findMaxTimestamp(${endBefore}) is ${maximum?.baseOffset}, not ${largest?.baseOffset}`)
}

/** One read at a random place against the model. */
export async function checkRandomRead(log: Log, model: ModelLog, random: SeededRandom): Promise<void> {
  if (model.endOffset === model.startOffset) return
  const offset = model.startOffset + random.below(model.endOffset - model.startOffset)
  const endBefore = offset + 1 + random.below(model.endOffset - offset + 2)
  const maxBytes = random.chance(0.5) ? random.below(2000) : random.below(300_000)
  const atLeastOne = random.chance(0.7)
  const first = model.entries.findIndex(entry => entry.nextOffset > offset)
  const result = await log.read(offset, maxBytes, endBefore, atLeastOne)
  const actual = concat(result.slices)
  const { nextOffset } = result
  result.release()
  let byteCount = 0
  let count = 0
  for (const entry of model.entries.slice(first)) {
    if (byteCount >= actual.length) break
    if (!same(actual.subarray(byteCount, byteCount + entry.bytes.length), entry.bytes))
      throw new Error(`read(${offset}, ${maxBytes}, ${endBefore}) returned other bytes for ${entry.baseOffset}`)
    if (entry.baseOffset >= endBefore)
      throw new Error(`read(${offset}, ${maxBytes}, ${endBefore}) returned ${entry.baseOffset}`)
    byteCount += entry.bytes.length
    count++
  }
  if (byteCount !== actual.length) throw new Error('a read ends inside an entry')
  if (actual.length > maxBytes && !(atLeastOne && count === 1))
    throw new Error(`a read of ${maxBytes} returned ${actual.length}`)
  if (atLeastOne && count === 0) throw new Error(`read(${offset}, ${maxBytes}, ${endBefore}) returned nothing`)
  const due = count === 0 ? offset : model.entries[first + count - 1]!.nextOffset
  if (nextOffset !== due) throw new Error(`a read says ${nextOffset} comes next, not ${due}`)
}

/** True for the errors that an operation may meet when the power goes. */
export function isPowerLoss(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'FAILED' || error.code === 'CLOSED')
}

/**
 * Appends, and waits for room when there is none. False when the store takes no more. `onAppended` runs in the same turn, so
 * that a fold is never behind its log.
 */
export async function appendEntry(
  store: LogStore,
  log: Log,
  entry: ModelEntry,
  onAppended: () => void
): Promise<boolean> {
  for (;;) {
    const result = log.append(entry.bytes)
    if (result === 'appended') onAppended()
    if (result === 'appended') return true
    if (result === 'failed') return false
    await store.whenWritable()
  }
}
