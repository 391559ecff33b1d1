import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../disks/seeded-random.ts'
import { Arena, orderFor, pageBytes } from './arena.ts'
import { PagePool, type Block } from './page-pool.ts'
import { TailCache } from './tail-cache.ts'

const nobody = { evict: () => {} }

function bytesOf(tail: TailCache, pool: PagePool, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(to - from)
  let at = 0
  tail.forEachPiece(from, to, (_, start, length) => {
    bytes.set(pool.arena.bytes.subarray(start, start + length), at)
    at += length
  })
  return bytes
}

describe('the arena', () => {
  it('gives out disjoint aligned blocks, and all of its pages again after they were freed in any order', () => {
    const arena = new Arena(new Uint8Array(pageBytes * 777))
    const random = new SeededRandom(5)
    const owners = new Int32Array(777).fill(-1)
    const blocks: { page: number; order: number }[] = []
    for (let step = 0; step < 20_000; step++) {
      const order = random.below(6)
      if (random.chance(0.5)) {
        const page = arena.allocate(order)
        if (page < 0) continue
        expect(page % (1 << order)).toBe(0)
        for (let at = page; at < page + (1 << order); at++) {
          expect(owners[at]).toBe(-1)
          owners[at] = step
        }
        blocks.push({ page, order })
      } else if (blocks.length > 0) {
        const [block] = blocks.splice(random.below(blocks.length), 1)
        arena.free(block!.page, block!.order)
        owners.fill(-1, block!.page, block!.page + (1 << block!.order))
      }
    }
    for (const { page, order } of blocks) arena.free(page, order)
    expect(arena.freePages).toBe(777)
    expect(arena.allocate(9)).toBeGreaterThanOrEqual(0)
  })

  it('names the smallest order that holds a length', () => {
    expect([1, 4096, 4097, 8192, 8193, 1 << 20].map(orderFor)).toEqual([0, 0, 1, 1, 2, 8])
  })
})

describe('the tail cache', () => {
  it('takes the page of another log, never the one that an append goes on in, although that is the oldest', () => {
    const pool = new PagePool(new Arena(new Uint8Array(pageBytes * 4)), 0)
    const [tail, other] = [new TailCache(pool, new Uint8Array(64)), new TailCache(pool, new Uint8Array(64))]
    for (const cache of [tail, other]) {
      expect(cache.reserve(0, 100, 0, 1 << 20)).toBe(true)
      cache.write(new Uint8Array(100).fill(7), 0)
      cache.markDestaged(100)
    }
    const held = [0, 1].map(() => pool.allocateForRead(0, nobody)) as Block[]
    expect(tail.reserve(100, 7000, 0, 1 << 20)).toBe(true)
    tail.write(new Uint8Array(7000).fill(8), 100)
    expect(bytesOf(tail, pool, 0, 100)).toEqual(new Uint8Array(100).fill(7))
    expect(bytesOf(tail, pool, 100, 7100)).toEqual(new Uint8Array(7000).fill(8))
    expect(other.start).toBe(Infinity)
    expect(held).toHaveLength(2)
  })

  it('has changed nothing when there is no room, and its clean page may still be taken', () => {
    const pool = new PagePool(new Arena(new Uint8Array(pageBytes * 4)), 0)
    const tail = new TailCache(pool, new Uint8Array(64))
    tail.reserve(0, 100, 0, 1 << 20)
    tail.write(new Uint8Array(100).fill(7), 0)
    tail.markDestaged(100)
    const held = [0, 1, 2].map(() => pool.allocateForRead(0, nobody)) as Block[]
    expect(tail.reserve(100, 7000, 0, 1 << 20)).toBe(false)
    expect(bytesOf(tail, pool, 0, 100)).toEqual(new Uint8Array(100).fill(7))
    expect(pool.availableBytes).toBe(pageBytes)
    expect(pool.allocateForRead(0, nobody)).toBeDefined()
    expect(tail.start).toBe(Infinity)
    for (const block of held) pool.drop(block)
    expect(pool.availableBytes).toBe(3 * pageBytes)
  })
})
