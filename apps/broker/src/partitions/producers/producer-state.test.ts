import { describe, expect, it } from 'vitest'
import { lastSequenceOf, PRODUCERS_MAX, ProducerState } from './producer-state.ts'

const newState = (now: () => number = () => 0): ProducerState => new ProducerState({ expirationMs: () => 1000, now })

let offset = 0
function append(state: ProducerState, id: bigint, epoch: number, sequence: number, count: number): string {
  const check = state.check(id, epoch, sequence, count)
  if (check.kind !== 'next') return check.kind === 'refused' ? check.error : `duplicate of ${check.baseOffset}`
  const lastSequence = lastSequenceOf(sequence, count)
  state.record(id, epoch, {
    firstSequence: sequence,
    lastSequence,
    baseOffset: offset,
    lastOffset: offset + count - 1,
    timestamp: -1n
  })
  offset += count
  return 'next'
}

describe('producer state', () => {
  it('accepts sequences that follow each other and refuses gaps', () => {
    const state = newState()
    expect(append(state, 1n, 0, 0, 3)).toBe('next')
    expect(append(state, 1n, 0, 3, 1)).toBe('next')
    expect(append(state, 1n, 0, 5, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  it('answers a retry within the last five batches with its first offset', () => {
    offset = 100
    const state = newState()
    for (let i = 0; i < 6; i++) append(state, 1n, 0, i, 1)
    expect(append(state, 1n, 0, 1, 1)).toBe('duplicate of 101')
    expect(append(state, 1n, 0, 5, 1)).toBe('duplicate of 105')
    expect(append(state, 1n, 0, 0, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
  })

  it('wraps sequences from 2^31 - 1 to 0', () => {
    const state = newState()
    append(state, 1n, 0, 2_147_483_646, 2)
    expect(append(state, 1n, 0, 0, 1)).toBe('next')
    const other = newState()
    append(other, 1n, 0, 2_147_483_647, 3)
    expect(append(other, 1n, 0, 2, 1)).toBe('next')
  })

  it('fences older epochs and starts newer ones at zero', () => {
    const state = newState()
    append(state, 1n, 5, 0, 1)
    expect(append(state, 1n, 4, 1, 1)).toBe('INVALID_PRODUCER_EPOCH')
    expect(append(state, 1n, 6, 1, 1)).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER')
    expect(append(state, 1n, 6, 0, 1)).toBe('next')
  })

  it('shows each producer with the end of its last batch, also one that is restored', () => {
    const state = newState()
    append(state, 1n, 0, 0, 3)
    append(state, 2n, 5, 0, 1)
    append(state, 1n, 0, 3, 2)
    const described = [
      { producerId: 2n, producerEpoch: 5, lastSequence: 0, lastTimestamp: -1n },
      { producerId: 1n, producerEpoch: 0, lastSequence: 4, lastTimestamp: -1n }
    ]
    expect(state.describe()).toEqual(described)
    const restored = newState()
    restored.restore(state.snapshotUpTo(offset))
    expect(restored.describe()).toEqual(described)
  })

  it('comes back from a snapshot as it was', () => {
    offset = 7
    const state = newState()
    append(state, 9_007_199_254_740_993n, 3, 0, 2)
    append(state, 2n, 0, 0, 1)
    const restored = newState()
    restored.restore(state.snapshot())
    expect(append(restored, 9_007_199_254_740_993n, 3, 0, 2)).toBe('duplicate of 7')
    expect(append(restored, 2n, 0, 1, 1)).toBe('next')
  })

  it('leaves batches beyond the end of the log out of snapshots', () => {
    offset = 0
    const state = newState()
    state.bindTo({ endOffset: 1 })
    append(state, 1n, 0, 0, 1)
    append(state, 1n, 0, 1, 1)
    const restored = newState()
    restored.restore(state.snapshot())
    expect(append(restored, 1n, 0, 1, 1)).toBe('next')
  })

  it('forgets idle producers at snapshots and the longest idle one when there are too many', () => {
    let now = 0
    const state = newState(() => now)
    append(state, 1n, 0, 0, 1)
    now = 2000
    append(state, 2n, 0, 0, 1)
    state.snapshot()
    expect(state.producerCount).toBe(1)
    for (let id = 0n; id < PRODUCERS_MAX + 10; id++) append(state, 100n + id, 0, 0, 1)
    expect(state.producerCount).toBe(PRODUCERS_MAX)
    expect(state.snapshot()?.length).toBeLessThan(1024 * 1024)
  })
})
