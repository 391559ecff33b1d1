import { describe, expect, test } from 'vitest'
import { apis } from './apis.ts'
import { makeCodec } from './codec.ts'
import { Reader } from './reader.ts'
import type { Api, Fields } from './schema.ts'
import { fullMessage, randomStruct, seededRandom } from './testing.ts'
import { Writer } from './writer.ts'

/** Every (API, version, direction) there is. */
function* everyMessage(): Generator<{ name: string; fields: Fields; version: number; flexible: boolean }> {
  for (const api of Object.values(apis) as Api[]) {
    for (let version = api.versions.min; version <= api.versions.max; version++) {
      const flexible = version >= api.flexibleFrom
      yield { name: `${api.name}RequestV${version}`, fields: api.request, version, flexible }
      yield { name: `${api.name}ResponseV${version}`, fields: api.response, version, flexible }
    }
  }
}

function bytesOf(encode: (writer: Writer) => void): Buffer {
  const writer = new Writer()
  writer.begin()
  encode(writer)
  return Buffer.concat(writer.finish())
}

const seed = Number(process.env['MILENA_SEED'] ?? 20261123)

describe(`Every message in every version (seed ${seed})`, () => {
  test('comes back from its bytes as it was, by compiled and by interpreted codecs, which agree on every byte', () => {
    const random = seededRandom(seed)
    let count = 0
    for (const { name, fields, version, flexible } of everyMessage()) {
      const layout = { version, flexible }
      const compiled = makeCodec(name, fields, layout, 'compiled')
      const interpreted = makeCodec(name, fields, layout, 'interpreted')
      const messages = [
        fullMessage(fields, version),
        ...Array.from({ length: 4 }, () => randomStruct(fields, version, random))
      ]
      for (const message of messages) {
        const bytes = bytesOf(writer => compiled.encode(writer, message))
        expect(bytesOf(writer => interpreted.encode(writer, message)).equals(bytes), name).toBe(true)
        const reader = new Reader(bytes)
        expect(compiled.decode(reader), name).toEqual(message)
        expect(reader.remaining, name).toBe(0)
        expect(interpreted.decode(new Reader(bytes)), name).toEqual(message)
        count++
      }
    }
    expect(count).toBeGreaterThan(2500)
  })
})
