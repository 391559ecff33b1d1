import assert from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { placePartitions } from './placement.ts'

test('Equal shards are filled round robin, from the first one.', () => {
  assert.deepEqual(placePartitions([0, 0, 0], 7), [0, 1, 2, 0, 1, 2, 0])
})

test('What is behind catches up first.', () => {
  assert.deepEqual(placePartitions([5, 2, 3], 5), [1, 1, 2, 1, 2])
})

test('Nothing to place gives nothing.', () => {
  assert.deepEqual(placePartitions([1], 0), [])
})

test('Each goes to a shard that holds least at that moment, the lowest number of those.', () => {
  const loads = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(loads, fc.integer({ min: 0, max: 60 }), (before, count) => {
      const now = [...before]
      for (const shard of placePartitions(before, count)) {
        assert.equal(shard, now.indexOf(Math.min(...now)))
        now[shard]!++
      }
    })
  )
})
