/**
 * Damaged messages of every API. Whatever arrives: decoding ends in a message or a DecodeError, the compiled and the
 * interpreted codec agree which, a message that was understood can be written and read again, and memory stays in proportion.
 *
 * Smoke size by default; MILENA_FUZZ_CASES and MILENA_SEED change it. A failure names the case's own seed.
 */
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { apis } from '../apis.ts'
import { Field, type Fields } from '../schema.ts'
import { everyMessage, fullMessage, randomStruct, seededRandom, type MessageVersion, type Random } from '../testing.ts'
import { DecodeError } from './codec-errors.ts'
import { makeCodec, type Codec } from './codec.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const seed = Number(process.env['MILENA_SEED'] ?? Date.now() % 1_000_000_000)
const caseCount = Number(process.env['MILENA_FUZZ_CASES'] ?? 20_000)

interface Subject extends MessageVersion {
  readonly compiled: Codec<unknown, unknown>
  readonly interpreted: Codec<unknown, unknown>
}

type Mutator = (wire: Buffer, random: Random, other: Buffer) => Buffer

const below = (limit: number, random: Random) => Math.floor(random() * limit)
const BOUNDARY_INTS = [0, 1, -1, -2, 127, 128, 255, 32767, -32768, 65535, 2147483647, -2147483648]

const mutators: Readonly<Record<string, Mutator>> = {
  'flip a bit': (wire, random) => {
    const at = below(wire.length, random)
    wire[at] = (wire[at] ?? 0) ^ (1 << below(8, random))
    return wire
  },
  'put a boundary value over 1 to 4 bytes': (wire, random) => {
    const width = 1 + below(Math.min(4, wire.length), random)
    const value = BOUNDARY_INTS[below(BOUNDARY_INTS.length, random)] ?? 0
    wire.writeUIntBE((value >>> 0) % 2 ** (8 * width), below(wire.length - width + 1, random), width)
    return wire
  },
  'lie about a length': (wire, random) => {
    const at = below(wire.length, random)
    wire[at] = (wire[at] ?? 0) + (random() < 0.5 ? 1 : -1) * (1 + below(3, random))
    return wire
  },
  'make a long varint': (wire, random) => {
    const at = below(wire.length, random)
    const length = Math.min(1 + below(6, random), wire.length - at)
    for (let i = 0; i < length; i++) wire[at + i] = 0x80 | below(128, random)
    return wire
  },
  truncate: (wire, random) => wire.subarray(0, below(wire.length, random)),
  'take a piece out': (wire, random) => {
    const at = below(wire.length, random)
    return Buffer.concat([wire.subarray(0, at), wire.subarray(at + 1 + below(8, random))])
  },
  'repeat a piece': (wire, random) => {
    const at = below(wire.length, random)
    return Buffer.concat([wire.subarray(0, at), wire.subarray(Math.max(0, at - 1 - below(16, random)))])
  },
  splice: (wire, random, other) =>
    Buffer.concat([wire.subarray(0, below(wire.length, random)), other.subarray(below(other.length, random))])
}

const mutatorList = Object.values(mutators)

function encoded(codec: Codec<unknown, unknown>, message: unknown): Buffer {
  const writer = new Writer()
  writer.begin()
  codec.encode(writer, message)
  return Buffer.concat(writer.finish())
}

/** A message or the code of the DecodeError; anything else that is thrown is a defect. */
function outcomeOf(
  codec: Codec<unknown, unknown>,
  wire: Buffer
): { message: unknown; position: number } | { code: string } {
  const reader = new Reader(wire)
  try {
    const message = codec.decode(reader)
    return { message, position: reader.position }
  } catch (error) {
    if (error instanceof DecodeError) return { code: error.code }
    throw error
  }
}

/** What is wrong with how two codecs take `wire`, if anything. */
function findFault(
  { compiled, interpreted }: Pick<Subject, 'compiled' | 'interpreted'>,
  wire: Buffer
): string | undefined {
  const outcome = outcomeOf(compiled, wire)
  if (!isDeepStrictEqual(outcome, outcomeOf(interpreted, wire))) return 'the codecs disagree'
  if ('code' in outcome) return undefined
  if (outcome.position > wire.length) return 'it read beyond the end'
  const again = outcomeOf(compiled, encoded(compiled, outcome.message))
  if (!('message' in again) || !isDeepStrictEqual(again.message, outcome.message)) return 'it does not survive encoding'
  return undefined
}

function subjectOf(message: MessageVersion): Subject {
  const { name, fields, version, flexible } = message
  return {
    ...message,
    compiled: makeCodec(name, fields, { version, flexible }, 'compiled'),
    interpreted: makeCodec(name, fields, { version, flexible }, 'interpreted')
  }
}

function mutated(subject: Subject, random: Random): Buffer {
  const { compiled, fields, version } = subject
  const base = random() < 0.3 ? fullMessage(fields, version) : randomStruct(fields, version, random)
  let wire: Buffer = encoded(compiled, base)
  const other = encoded(compiled, randomStruct(fields, version, random))
  for (let i = below(3, random); i >= 0 && wire.length > 0; i--) {
    const mutate = mutatorList[below(mutatorList.length, random)] as Mutator
    wire = mutate(Buffer.from(wire), random, other)
  }
  return wire
}

describe(`Damaged messages (seed ${seed}, ${caseCount} cases)`, () => {
  const subjects = [...everyMessage()].map(subjectOf)
  console.log(`MILENA_SEED=${seed}`)

  test('end in a message or a DecodeError, the same for both kinds of codec', { timeout: 600_000 }, () => {
    const codes = new Map<string, number>()
    for (let i = 0; i < caseCount; i++) {
      const subject = subjects[i % subjects.length] as Subject
      const wire = mutated(subject, seededRandom(seed + i))
      const fault = findFault(subject, wire)
      if (fault !== undefined) expect.fail(`${subject.name}, seed ${seed + i}: ${fault}: ${wire.toString('hex')}`)
      const outcome = outcomeOf(subject.compiled, wire)
      const kind = 'code' in outcome ? outcome.code : 'message'
      codes.set(kind, (codes.get(kind) ?? 0) + 1)
    }
    // The mutations are worth something only if they reach every way to fail, and some damage goes unnoticed.
    for (const kind of ['message', 'TRUNCATED', 'INVALID_LENGTH', 'UNEXPECTED_NULL', 'INVALID_VARINT', 'INVALID_TAG']) {
      expect(codes.get(kind) ?? 0, kind).toBeGreaterThan(0)
    }
  })

  test('would reveal a decoder with one wrong rule (canary)', () => {
    const sane = subjects.find(({ name }) => name === 'FetchRequestV17') as Subject
    const rackId = Object.assign(new Field('string', '0+'), { nullableVersions: { min: 0, max: 32767 } })
    const fields: Fields = { ...apis.fetch.request, rackId }
    const lenient = makeCodec('Canary', fields, { version: 17, flexible: true }, 'compiled')
    const pair = { interpreted: sane.interpreted, compiled: { ...sane.compiled, decode: lenient.decode } }
    let noticedAfter = -1
    for (let i = 0; i < 5000 && noticedAfter < 0; i++) {
      if (findFault(pair, mutated(sane, seededRandom(seed + i))) === 'the codecs disagree') noticedAfter = i
    }
    expect(noticedAfter).toBeGreaterThanOrEqual(0)
  })

  test('cannot make a decoder hold much more memory than they have bytes', { timeout: 120_000 }, () => {
    const lies = [0x7fffffff, 0x0fffffff, 1_000_000, 100_000]
    for (const { compiled, name, fields, version } of subjects) {
      const wire = encoded(compiled, fullMessage(fields, version))
      for (let at = 0; at + 4 <= wire.length; at += 3) {
        const hostile = Buffer.from(wire)
        hostile.writeInt32BE(lies[at % lies.length] ?? 0, at)
        const before = process.memoryUsage().heapUsed
        outcomeOf(compiled, hostile)
        const grown = process.memoryUsage().heapUsed - before
        if (grown > 4 * hostile.length + (1 << 20)) expect.fail(`${name}: ${grown} bytes for ${hostile.length}`)
      }
    }
  })
})
