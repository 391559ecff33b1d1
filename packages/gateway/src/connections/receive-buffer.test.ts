import { expect, test } from 'vitest'
import { LANDING_BUFFER_BYTES, OWN_BUFFER_BYTES_MIN } from '../settings.ts'
import { ReceiveBuffer } from './receive-buffer.ts'
import { ReceiveMemory } from './receive-memory.ts'

const nobody = { onMemory: () => {} }
const FRAME_MAX = 8 * 1024 * 1024

/** Feeds bytes as reads of the sizes that `sizeOf` says, and cuts them into frames; pauses after every `pauseEvery`th read. */
function feed(
  stream: Buffer,
  sizeOf: (read: number) => number,
  pauseEvery = Infinity,
  memory = new ReceiveMemory(64 << 20)
) {
  const input = new ReceiveBuffer(memory, nobody, FRAME_MAX)
  const frames: Buffer[] = []
  let target = input.targetWhilePaused()
  for (let at = 0, read = 1; at < stream.length; read++) {
    const byteCount = Math.min(sizeOf(read), target.length, stream.length - at)
    target.set(stream.subarray(at, at + byteCount), 0)
    at += byteCount
    expect(input.received(byteCount)).toBe(true)
    while (input.peek() === 'whole') {
      frames.push(Buffer.from(input.bytes.subarray(input.frameStart, input.frameEnd)))
      input.consume()
    }
    expect(input.settle()).toBe(true)
    const next = read % pauseEvery === 0 ? input.targetWhilePaused() : input.target()
    expect(next).not.toBeNull()
    expect(next?.length).toBeGreaterThan(0)
    target = next as Uint8Array
    // Another connection's read lands in the shared buffer between two of ours.
    memory.landing.fill(0xee)
  }
  return { frames, input, memory }
}

function frame(size: number, fill: number): Buffer {
  const bytes = Buffer.alloc(4 + size, fill)
  bytes.writeInt32BE(size, 0)
  return bytes
}

test('frames come out as they went in, wherever reads cut them and whenever reading pauses', () => {
  const sizes = [10, 1, 3000, 70_000, 20, 300_000, 300_000, 5, 1_200_000, 64, 100_000, 100_000, 8]
  const stream = Buffer.concat(sizes.map((size, i) => frame(size, i + 1)))
  for (const readSize of [1021, 7000, 65_536, 1 << 20]) {
    for (const pauseEvery of [1, 2, 7, Infinity]) {
      const { frames, input } = feed(stream, () => readSize, pauseEvery)
      expect(frames.map(bytes => bytes.length)).toEqual(sizes)
      frames.forEach((bytes, i) => expect(bytes.every(byte => byte === i + 1)).toBe(true))
      expect(input.byteCount).toBe(0)
    }
  }
})

test('a connection between two requests holds no buffer of its own', () => {
  const { input, memory } = feed(Buffer.concat([frame(1000, 1), frame(50, 2)]), () => 1 << 20)
  expect(input.ownBytes).toBe(0)
  expect(memory.usedBytes).toBe(0)
})

test('an announced size alone allocates nothing: the buffer follows the bytes that arrived', () => {
  const announced = Buffer.alloc(5)
  announced.writeInt32BE(FRAME_MAX, 0)
  const { input } = feed(announced, () => 5)
  expect(input.ownBytes).toBe(OWN_BUFFER_BYTES_MIN)
  const half = frame(FRAME_MAX, 1).subarray(0, 1_000_000)
  expect(feed(half, () => 100_000).input.ownBytes).toBeLessThanOrEqual(2 * 1_000_000 + OWN_BUFFER_BYTES_MIN)
})

test('large frames of one size are read straight into the same buffer', () => {
  const stream = Buffer.concat(Array.from({ length: 20 }, (_, i) => frame(500_000, i + 1)))
  const { input, memory, frames } = feed(stream, () => 200_000)
  expect(frames).toHaveLength(20)
  expect(input.ownBytes).toBe(524_288)
  input.releaseOwn()
  expect(memory.usedBytes).toBe(0)
})

test('sizes of no request are invalid: negative, zero, above the maximum', () => {
  for (const size of [-1, -2147483648, 0, FRAME_MAX + 1, 0x16030102, 0x47455420]) {
    const memory = new ReceiveMemory(1 << 20)
    const input = new ReceiveBuffer(memory, nobody, FRAME_MAX)
    Buffer.from(memory.landing.buffer).writeInt32BE(size, 0)
    input.received(4)
    expect(input.peek()).toBe('invalid')
    expect(memory.usedBytes).toBe(0)
  }
})

test('when the budget is spent one connection may go on, the next one has to wait until it is done', () => {
  const memory = new ReceiveMemory(LANDING_BUFFER_BYTES)
  const woken: string[] = []
  const owner = (name: string) => ({ onMemory: () => woken.push(name) })
  const [first, second] = [owner('first'), owner('second')]
  const own = memory.take(LANDING_BUFFER_BYTES, first, false) as Uint8Array
  expect(own).not.toBeNull()
  const larger = memory.take(2 * LANDING_BUFFER_BYTES, first, false)
  expect(larger).not.toBeNull()
  expect(memory.take(1, second, false)).toBeNull()
  memory.wait(second)
  memory.give(own, first)
  expect(woken).toEqual([])
  memory.give(larger as Uint8Array, first)
  expect(woken).toEqual(['second'])
  expect(memory.take(1, second, false)).not.toBeNull()
})

test('when those that wait hold the whole budget, one after the other may exceed it', () => {
  const memory = new ReceiveMemory(LANDING_BUFFER_BYTES)
  const order: number[] = []
  const half = LANDING_BUFFER_BYTES / 2
  const owners = [0, 1, 2].map(i => ({ onMemory: () => void order.push(i) }))
  const held = owners.map(owner => memory.take(half, owner, true) as Uint8Array)
  const grown = memory.take(LANDING_BUFFER_BYTES, owners[0] ?? nobody, false) as Uint8Array
  expect(grown).not.toBeNull()
  for (const owner of owners.slice(1)) {
    expect(memory.take(LANDING_BUFFER_BYTES, owner, false)).toBeNull()
    memory.wait(owner)
  }
  memory.give(held[0] as Uint8Array, owners[0] ?? nobody)
  expect(order).toEqual([])
  memory.give(grown, owners[0] ?? nobody)
  expect(order).toEqual([1])
  expect(memory.take(LANDING_BUFFER_BYTES, owners[1] ?? nobody, false)).not.toBeNull()
})

test('bytes that must be kept are refused beyond twice the budget', () => {
  const memory = new ReceiveMemory(LANDING_BUFFER_BYTES)
  expect(memory.take(LANDING_BUFFER_BYTES, nobody, true)).not.toBeNull()
  expect(memory.take(LANDING_BUFFER_BYTES, nobody, true)).not.toBeNull()
  expect(memory.take(1, nobody, true)).toBeNull()
})

test('a connection that dies while it exceeds the budget lets the next one in', () => {
  const memory = new ReceiveMemory(LANDING_BUFFER_BYTES)
  let woken = 0
  const waiter = { onMemory: () => void woken++ }
  memory.take(2 * LANDING_BUFFER_BYTES, nobody, false)
  memory.wait(waiter)
  memory.forget(nobody)
  expect(woken).toBe(1)
})
