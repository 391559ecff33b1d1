/**
 * On which shard something new goes. Pure: the same loads give the same answer on every node, so a replicated command may
 * carry the inputs instead of the result. Placement is by load first and by shard number second, which is round robin when
 * all loads are equal.
 */
import assert from 'node:assert'

/**
 * Places `count` equal things (partitions of a new topic) on the shards that hold least.
 *
 * @param loads What each shard holds now, by shard number; any unit that one thing adds 1 to.
 * @param count How many things to place.
 * @returns The shard of each, in order. After it no shard holds more than one above another, unless it did before.
 */
export function placePartitions(loads: readonly number[], count: number): number[] {
  assert(loads.length > 0, 'there is at least one shard')
  assert(Number.isInteger(count) && count >= 0, 'count is a whole number')
  const heap = loads.map((load, shard) => ({ load, shard }))
  for (let parent = (heap.length >> 1) - 1; parent >= 0; parent--) siftDown(heap, parent)
  const placed = new Array<number>(count)
  for (let index = 0; index < count; index++) {
    const least = heap[0]!
    placed[index] = least.shard
    least.load++
    siftDown(heap, 0)
  }
  return placed
}

interface ShardLoad {
  load: number
  readonly shard: number
}

function siftDown(heap: ShardLoad[], start: number): void {
  for (let parent = start; ;) {
    const left = 2 * parent + 1
    const right = left + 1
    let least = parent
    if (left < heap.length && holdsLess(heap[left]!, heap[least]!)) least = left
    if (right < heap.length && holdsLess(heap[right]!, heap[least]!)) least = right
    if (least === parent) return
    const moved = heap[parent]!
    heap[parent] = heap[least]!
    heap[least] = moved
    parent = least
  }
}

function holdsLess(left: ShardLoad, right: ShardLoad): boolean {
  return left.load < right.load || (left.load === right.load && left.shard < right.shard)
}
