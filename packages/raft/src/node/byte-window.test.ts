import assert from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { ByteWindow } from './byte-window.ts'
import { DamagedRanges } from './damaged-ranges.ts'

test('A window counts what was added and not freed, as a list would.', () => {
  const operation = fc.record({ frees: fc.boolean(), indexes: fc.nat(5), bytes: fc.nat(100) })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 100 }), operations => {
      const window = new ByteWindow()
      let list: { last: number; bytes: number }[] = []
      let last = 0
      for (const { frees, indexes, bytes } of operations) {
        if (frees) {
          const until = (list[0]?.last ?? 0) + indexes
          window.freeTo(until)
          list = list.filter(item => item.last > until)
        } else {
          last += indexes
          window.add(last, bytes)
          list.push({ last, bytes })
        }
        assert.equal(window.count, list.length)
        assert.equal(
          window.bytes,
          list.reduce((sum, item) => sum + item.bytes, 0)
        )
      }
    })
  )
})

test('Damaged ranges are what was added without what was removed, index by index.', () => {
  const operation = fc.record({ removes: fc.boolean(), start: fc.nat(20), length: fc.integer({ min: 1, max: 8 }) })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), operations => {
      const ranges = new DamagedRanges([])
      const indexes = new Set<number>()
      for (const { removes, start, length } of operations) {
        const end = start + length
        if (removes) ranges.removeBetween(start, end)
        else ranges.add({ start, end })
        for (let index = start; index < end; index++) {
          if (removes) indexes.delete(index)
          else indexes.add(index)
        }
      }
      assert.equal(ranges.count, indexes.size)
      assert.equal(ranges.intactEnd, Math.min(Number.MAX_SAFE_INTEGER, ...indexes))
      for (let index = 0; index < 30; index++) assert.equal(ranges.touches(index, index + 1), indexes.has(index))
    })
  )
})
