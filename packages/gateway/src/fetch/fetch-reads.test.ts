/** Reads of one fetch side by side: the answer is that of reads one after the other, and the disk gets work for all of them. */
import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ReadOutcome, ReadRequest } from '../ports.ts'
import { FETCH_READS_IN_FLIGHT_MAX } from '../settings.ts'
import type { MemoryPartition } from '../testing/memory-partition.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const PARTITION_COUNT = 20
const ROUNDS = 250

let served: ServedGateway
let client: RawClient
let disk: SlowDisk
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  served.host.cluster.addTopic('a', PARTITION_COUNT)
  disk = new SlowDisk()
})
afterEach(async () => {
  await served.stop()
  for (const partition of partitions()) expect(partition.borrowedCount).toBe(0)
})

const partitions = () => Array.from({ length: PARTITION_COUNT }, (_, i) => served.host.cluster.partition('a', i))

/** Reads wait until they are told to go on, in any order. */
class SlowDisk {
  /** Partitions whose reads wait, in the order in which they came. */
  readonly waiting: { partition: number; request: ReadRequest; finish: () => void }[] = []
  /** Every read that came here. */
  readonly requests: { partition: number; request: ReadRequest }[] = []

  slow(partition: MemoryPartition): void {
    const read = partition.read.bind(partition)
    partition.read = request => {
      this.requests.push({ partition: partition.partition, request })
      return new Promise<ReadOutcome>(resolve => {
        const finish = (): void => resolve(read(request))
        this.waiting.push({ partition: partition.partition, request, finish })
      })
    }
  }

  finish(at: number): void {
    const [read] = this.waiting.splice(at, 1)
    read?.finish()
  }

  finishAll(): void {
    while (this.waiting.length > 0) this.finish(0)
  }
}

async function append(partition: number, valueBytes: number, topic = 'a'): Promise<number> {
  const records = testBatch({ valueBytes })
  const options = { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null } as const
  await served.host.cluster.partition(topic, partition).append(records, options)
  return records.length
}

interface Wish {
  /** Of all partitions, or of each. */
  readonly partitionMaxBytes: number | readonly number[]
  readonly maxBytes: number
  readonly count: number
}

async function fetch({ partitionMaxBytes: limits, maxBytes, count }: Wish, topic = 'a') {
  const partitions = Array.from({ length: count }, (_, partition) => {
    const partitionMaxBytes = typeof limits === 'number' ? limits : limits[partition]
    return { partition, fetchOffset: 0, partitionMaxBytes }
  })
  const topics = [{ topic, partitions }]
  const response = await client.request(apis.fetch, 12, { minBytes: 1, maxWaitMs: 0, maxBytes, topics })
  return response.responses
    .flatMap(topic => topic.partitions)
    .map(each => [each.partitionIndex, each.errorCode, each.records?.length ?? 0])
}

test('partitions that are read from disk are read at the same time, within a bound', async () => {
  for (const partition of partitions()) {
    await append(partition.partition, 1000)
    disk.slow(partition)
  }
  const answer = fetch({ partitionMaxBytes: 10_000, maxBytes: 1 << 20, count: PARTITION_COUNT })
  await expect.poll(() => disk.waiting.length).toBe(FETCH_READS_IN_FLIGHT_MAX)
  disk.finish(3)
  await expect.poll(() => disk.requests.length).toBe(FETCH_READS_IN_FLIGHT_MAX + 1)
  expect(disk.waiting.length).toBe(FETCH_READS_IN_FLIGHT_MAX)
  const finishing = setInterval(() => disk.finishAll(), 1)
  const told = await answer
  clearInterval(finishing)
  expect(told).toHaveLength(PARTITION_COUNT)
  for (const [, error, byteCount] of told) expect([error, (byteCount ?? 0) > 1000]).toEqual([0, true])
  expect(disk.requests.length).toBe(PARTITION_COUNT)
})

test('a partition whose share depends on what the others bring waits for them', async () => {
  for (const partition of [0, 1, 2].map(i => served.host.cluster.partition('a', i))) {
    await append(partition.partition, 1000)
    disk.slow(partition)
  }
  const answer = fetch({ partitionMaxBytes: 10_000, maxBytes: 25_000, count: 3 })
  await expect.poll(() => disk.waiting.length).toBe(2)
  await new Promise(resolve => setImmediate(resolve))
  expect(disk.waiting.map(({ partition }) => partition)).toEqual([0, 1])
  disk.finish(1)
  await expect.poll(() => disk.waiting.map(({ partition }) => partition)).toEqual([0, 2])
  disk.finishAll()
  expect((await answer).map(([, , byteCount]) => (byteCount ?? 0) > 0)).toEqual([true, true, true])
})

test('one batch beyond the limits comes from the next partition when the first has none after all', async () => {
  const [first, second, third] = partitions()
  const batchBytes = await append(1, 5000)
  await append(2, 5000)
  await append(0, 5000)
  for (const partition of [first, second, third]) if (partition !== undefined) disk.slow(partition)
  if (first !== undefined) first.logStartOffset = 1
  const answer = fetch({ partitionMaxBytes: 1000, maxBytes: 100_000, count: 3 })
  const finishing = setInterval(() => disk.finishAll(), 1)
  const told = await answer
  clearInterval(finishing)
  expect(told).toEqual([
    [0, errorCode('OFFSET_OUT_OF_RANGE'), 0],
    [1, 0, batchBytes],
    [2, 0, 0]
  ])
})

test('a client that goes away while several reads are under way gets nothing and leaves nothing borrowed', async () => {
  for (const partition of partitions()) {
    await append(partition.partition, 1000)
    disk.slow(partition)
  }
  const answer = fetch({ partitionMaxBytes: 10_000, maxBytes: 1 << 20, count: PARTITION_COUNT })
  answer.catch(() => {})
  await expect.poll(() => disk.waiting.length).toBe(FETCH_READS_IN_FLIGHT_MAX)
  disk.finish(0)
  await expect.poll(() => disk.requests.length).toBe(FETCH_READS_IN_FLIGHT_MAX + 1)
  client.socket.resetAndDestroy()
  await expect.poll(() => served.gateway.stats().connectionCount).toBe(0)
  expect(disk.waiting.length).toBe(FETCH_READS_IN_FLIGHT_MAX)
  disk.finishAll()
  await new Promise(resolve => setImmediate(resolve))
  expect(disk.requests.length).toBe(FETCH_READS_IN_FLIGHT_MAX + 1)
})

test(
  'side by side or one after the other, from memory or from disk in any order: the answer is the same',
  { timeout: 240_000 },
  async () => {
    const seed = 20_261_123
    const [random, randomOrder] = [mulberry32(seed), mulberry32(seed + 1)]
    const draw = (bound: number): number => Math.floor(random() * bound)
    for (let round = 0; round < ROUNDS; round++) {
      const topic = `round-${round}`
      served.host.cluster.addTopic(topic, PARTITION_COUNT)
      const all = Array.from({ length: PARTITION_COUNT }, (_, i) => served.host.cluster.partition(topic, i))
      const count = 1 + draw(PARTITION_COUNT)
      const valueBytesMax = 1 + draw(4000)
      for (let partition = 0; partition < count; partition++) {
        for (let batches = draw(4); batches > 0; batches--) await append(partition, draw(valueBytesMax), topic)
      }
      const partitionMaxBytes = Array.from({ length: count }, () => draw(8000))
      const wish = { partitionMaxBytes, maxBytes: draw(2) > 0 ? draw(30_000) : draw(10_000), count }
      const expected = await fetch(wish, topic)
      for (const partition of all) if (draw(3) > 0) disk.slow(partition)
      const finishing = setInterval(() => disk.finish(Math.floor(randomOrder() * disk.waiting.length)), 0)
      const told = await fetch(wish, topic)
      clearInterval(finishing)
      expect({ seed, round, wish, told }).toEqual({ seed, round, wish, told: expected })
      for (const partition of all) expect(partition.borrowedCount).toBe(0)
    }
  }
)

/** A small generator of pseudo-random numbers in [0, 1), the same for the same seed. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
