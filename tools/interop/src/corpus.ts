/**
 * The records that every client writes and reads: keys, values, headers and timestamps at the edges of what the format can carry.
 * The same on every run, but for timestamps: most lie in the last hours, so that no broker's retention takes them away. Records that some client cannot express are marked with what it takes (`needs`).
 */
import { createHash } from 'node:crypto'
import type { Feature } from './client.ts'

/** Base64, or null for null. */
export type Bytes = string | null

export interface CorpusRecord {
  readonly key: Bytes
  readonly value: Bytes
  readonly headers: readonly (readonly [string, Bytes])[]
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly needs: readonly Feature[]
}

/** A record as a reader prints it. */
export interface ReadRecord extends Omit<CorpusRecord, 'needs'> {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** `length` bytes without any pattern that a codec could use. */
function noise(length: number, seed: string): Buffer {
  const parts: Buffer[] = []
  for (let i = 0; parts.length * 32 < length; i++) parts.push(createHash('sha256').update(`${seed}/${i}`).digest())
  return Buffer.concat(parts).subarray(0, length)
}

/** The hour before last, in milliseconds. */
const recent = Math.floor(Date.now() / 3_600_000 - 1) * 3_600_000

const allBytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
const base = (data: Buffer | string): string => Buffer.from(data as string).toString('base64')

function record(
  key: Buffer | string | null,
  value: Buffer | string | null,
  more: Partial<CorpusRecord> = {}
): CorpusRecord {
  const own = { key: key === null ? null : base(key), value: value === null ? null : base(value) }
  return { ...own, headers: [], timestamp: recent, needs: [], ...more }
}

const header = (name: string, value: Buffer | string | null): readonly [string, Bytes] => [
  base(name),
  value === null ? null : base(value)
]

/** About 350 KB in 130 records; every client must give all of them back in this order. */
export const corpus: readonly CorpusRecord[] = [
  record('key', 'value'),
  record(null, 'no key'),
  record('', 'a key without bytes', { needs: ['emptyKey'] }),
  record('tombstone', null),
  record('a value without bytes', ''),
  record(null, null, { needs: ['nullKeyAndValue'] }),
  record(null, ''),
  record(allBytes, allBytes),
  record('ключ 🔑', 'значение 値 🚀'),
  record(noise(8192, 'key'), 'a key of 8 KiB'),
  record('compressible', Buffer.alloc(100_000, 'abcdefgh')),
  record('incompressible', noise(100_000, 'value')),
  record('zeros', Buffer.alloc(70_000)),
  record('h', 'one header', { headers: [header('name', 'value')] }),
  record('h', 'a header without bytes', { headers: [header('empty', '')] }),
  record('h', 'a header that is null', { headers: [header('null', null)], needs: ['nullHeader'] }),
  record('h', 'a header without name', { headers: [header('', 'nameless')], needs: ['emptyHeaderName'] }),
  record('h', 'a header of all bytes', { headers: [header('binary', allBytes)] }),
  record('h', 'one name three times', { headers: [header('twin', '1'), header('twin', '2'), header('twin', '2')] }),
  record('h', 'names of other scripts', { headers: [header('имя 名前 🏷', 'да')] }),
  record('h', 'a large header', { headers: [header('large', noise(20_000, 'header'))] }),
  record('h', 'forty headers', {
    headers: Array.from({ length: 40 }, (_, i) => header(`header-${i}`, `${i}`.repeat(i)))
  }),
  record('t', 'at the epoch', { timestamp: 0, needs: ['timestampZero', 'earlierTimestamp'] }),
  record('t', 'just after it', { timestamp: 1, needs: ['earlierTimestamp'] }),
  record('t', 'before the one above in time', { timestamp: 1_500_000_000_123, needs: ['earlierTimestamp'] }),
  record('t', 'a second later', { timestamp: recent + 1000 }),
  ...Array.from({ length: 104 }, (_, i) => record(`k${i % 7}`, `small record ${i}`, { timestamp: recent + 2000 + i }))
]

/** What a writer that lacks these features writes. */
export function corpusWithout(lacks: readonly Feature[]): CorpusRecord[] {
  return corpus.filter(each => !each.needs.some(feature => lacks.includes(feature)))
}

/** The corpus as a file for adapters: one JSON object a line. */
export function renderCorpus(records: readonly CorpusRecord[]): string {
  return records
    .map(({ key, value, headers, timestamp }) => `${JSON.stringify({ timestamp, key, value, headers })}\n`)
    .join('')
}

export function parseRecords(output: string): ReadRecord[] {
  return output
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as ReadRecord)
}

/** The first difference between what was written to a partition and what was read from it, in words; null when there is none. */
export function firstDifference(written: readonly CorpusRecord[], read: readonly ReadRecord[]): string | null {
  const sorted = [...read].sort((a, b) => a.offset - b.offset)
  for (const [index, want] of written.entries()) {
    const got = sorted[index]
    if (got === undefined) return `record ${index} of ${written.length} is missing`
    if (got.offset !== index) return `record ${index} is at offset ${got.offset}`
    for (const field of ['key', 'value', 'timestamp', 'headers'] as const) {
      const [before, after] = [JSON.stringify(want[field]), JSON.stringify(got[field])]
      if (before !== after) return `record ${index}: ${field} ${clip(before)} came back as ${clip(after)}`
    }
  }
  return sorted.length === written.length ? null : `${sorted.length - written.length} records too many`
}

const clip = (text: string): string => (text.length > 120 ? `${text.slice(0, 120)}... (${text.length})` : text)
