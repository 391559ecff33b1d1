import { expect, test } from 'vitest'
import { xxhash32 } from './xxhash32.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

test('xxhash32 gives the published values for seed 0', () => {
  expect(xxhash32(text(''))).toBe(0x02cc5d05)
  expect(xxhash32(text('a'))).toBe(0x550d7456)
  expect(xxhash32(text('abc'))).toBe(0x32d153ff)
  expect(xxhash32(text('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f)
})

test('xxhash32 hashes a range of a larger buffer', () => {
  const bytes = text('xxNobody inspects the spammish repetitionxx')
  expect(xxhash32(bytes, 2, bytes.length - 2)).toBe(0xe2293b2f)
})
