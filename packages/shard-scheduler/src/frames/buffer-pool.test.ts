import assert from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { BufferPool, POOLED_BYTES_MIN } from './buffer-pool.ts'

const lengths = fc.array(fc.integer({ min: 0, max: 3_000_000 }), { maxLength: 40 })

test('Buffers have the length asked for, waste less than a quarter, and are used again for lengths near it.', () => {
  fc.assert(
    fc.property(lengths, wanted => {
      const pool = new BufferPool()
      for (const length of wanted) {
        const buffer = pool.take(length)
        assert.equal(buffer.length, length)
        if (length < POOLED_BYTES_MIN) continue
        assert.ok(buffer.buffer.byteLength < length * 1.25)
        pool.give(buffer)
        const again = pool.take(length)
        assert.equal(again.buffer, buffer.buffer)
        pool.give(again)
      }
    })
  )
})

test('Two buffers that are taken at a time never share memory.', () => {
  const pool = new BufferPool()
  const first = pool.take(100_000)
  pool.give(first)
  const held = [100_000, 100_000, 99_000].map(length => pool.take(length))
  assert.equal(new Set(held.map(buffer => buffer.buffer)).size, 3)
})

test('What is kept is bounded, however much is given back.', () => {
  const pool = new BufferPool()
  const buffers = Array.from({ length: 100 }, () => pool.take(1024 * 1024))
  for (const buffer of buffers) pool.give(buffer)
  assert.equal(pool.keptBytes, 16 * 1024 * 1024)
})
