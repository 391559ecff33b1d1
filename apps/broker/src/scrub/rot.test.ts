/** What rots on the disk of a replica that nobody reads is found by the scrub, and comes back from the others. */
import { batchHeader } from '@milena/wire-protocol'
import { describe, expect, it } from 'vitest'
import { MemoryCluster, propose, valuesOf, type MemoryShard } from '../replication/testing/memory-cluster.ts'
import { Scrubber } from './scrubber.ts'

const values = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => `${from + at} `.repeat(50))

interface Scrubbed {
  readonly cluster: MemoryCluster
  readonly ids: readonly number[]
  readonly scrubbers: readonly Scrubber[]
  /** Ranges that were reported, by shard. */
  readonly reported: ReadonlyMap<number, object[]>
}

/** A group whose records are at rest everywhere, and a scrub on every shard. */
async function scrubbed(ids: readonly number[]): Promise<Scrubbed> {
  const cluster = await MemoryCluster.start(ids)
  await cluster.open('g', ids, { preferredLeader: ids[0]! })
  const leader = (await cluster.elect('g')).group('g')
  for (const value of values(0, 60)) expect(propose(leader, [value]).kind).toBe('proposed')
  await cluster.until(() => ids.every(id => cluster.shard(id).group('g').committedOffset === 60))
  // Idle logs are destaged.
  await cluster.advance(15_000)
  const reported = new Map<number, object[]>(ids.map(id => [id, []]))
  const scrubbers = ids.map(id => scrubOf(cluster, cluster.shard(id), reported.get(id)!))
  return { cluster, ids, scrubbers, reported }
}

function scrubOf({ scheduler }: MemoryCluster, { store, host }: MemoryShard, reported: object[]): Scrubber {
  return new Scrubber({
    store,
    groups: host.groups,
    pace: () => ({ bytesPerSecond: 1 << 20, intervalMs: 1000 }),
    clock: {
      now: () => scheduler.now(),
      monotonic: () => scheduler.now(),
      after: (delayMs, task) => scheduler.after(delayMs, task)
    },
    log: { info: () => undefined, warn: () => undefined, error: fields => void reported.push(fields) }
  })
}

const SEGMENT = '/store/logs/g/00000000000000000000.log'

/** Where the batch with a record lies in the file. */
function positionOf(shard: MemoryShard, offset: number): number {
  const bytes = shard.machine.disk.contents(SEGMENT)!
  let at = 0
  while (batchHeader.lastOffset(bytes, at) < offset) at += batchHeader.totalBytes(bytes, at)
  return at
}

function rot(shard: MemoryShard, offset: number, byte: number): void {
  shard.machine.disk.corrupt(SEGMENT, positionOf(shard, offset) + byte)
}

async function end({ cluster, scrubbers }: Scrubbed): Promise<void> {
  for (const scrubber of scrubbers) await cluster.during(scrubber.close())
}

describe('rot at rest', () => {
  it.each([
    ['a follower', 3000],
    ['the leader', 1000]
  ])('on %s of three is found without a read, and the replica gets everything back', async (_, id) => {
    const three = await scrubbed([1000, 2000, 3000])
    const { cluster, ids, reported } = three
    const shard = cluster.shard(id)
    await cluster.until(() => shard.group('g').membership.voters.length === 3)
    rot(shard, 17, 70)
    await cluster.until(() => shard.store.status().damage.length > 0)
    await cluster.until(() => shard.store.status().damage.length === 0)
    await cluster.until(
      () => shard.group('g').committedOffset === 60 && cluster.leaderOf('g')!.group('g').membership.voters.length === 3,
      20_000
    )
    await cluster.advance(3000)
    for (const each of ids) {
      expect(await cluster.during(valuesOf(cluster.shard(each).group('g').log, 60)), `${each}`).toEqual(values(0, 60))
      expect(cluster.shard(each).store.status().damage).toEqual([])
    }
    expect(reported.get(id)).toMatchObject([{ log: 'g', startOffset: 17, endOffset: 18 }])
    await end(three)
  })

  it('of the epoch in a batch, which its checksum does not cover, is found as well', async () => {
    const three = await scrubbed([1000, 2000, 3000])
    const { cluster } = three
    const shard = cluster.shard(3000)
    rot(shard, 30, 15)
    await cluster.until(() => shard.store.status().damage.length > 0)
    expect(shard.store.status().damage).toMatchObject([{ startOffset: 30, endOffset: 31 }])
    await cluster.until(() => shard.store.status().damage.length === 0 && shard.group('g').committedOffset === 60)
    const leader = cluster.leaderOf('g')!.group('g')
    for (const each of [shard.group('g').log, leader.log]) expect(each.endOffset).toBe(leader.log.endOffset)
    await end(three)
  })

  it('of a replica that is alone is reported once, refused, and all else is served', async () => {
    const alone = await scrubbed([1000])
    const { cluster, reported } = alone
    const shard = cluster.shard(1000)
    const { log } = shard.group('g')
    rot(shard, 17, 70)
    await cluster.advance(10_000)
    expect(reported.get(1000)).toMatchObject([{ log: 'g', startOffset: 17, endOffset: 18 }])
    expect(shard.store.status().damage).toHaveLength(1)
    expect(await valuesOf(log, 17)).toEqual(values(0, 17))
    await expect(async () => log.read(17, 1, 60, true)).rejects.toThrow(/CORRUPT/)
    const behind = await log.read(18, 1 << 20, 60, true)
    expect(behind.nextOffset).toBe(60)
    behind.release()
    expect(propose(shard.group('g'), ['more']).kind).toBe('proposed')
    await cluster.until(() => shard.group('g').committedOffset === 61)
    await end(alone)
  })
})
