/** Handing what a replica holds to another shard of its node, and what the group makes of that one. */
import { MemoryDisk, type Disk } from '@milena/storage-engine'
import { describe, expect, it } from 'vitest'
import type { ReplicaOffer } from '../contract.ts'
import { ListenerLog, MemoryCluster, propose, valuesOf, type MemoryShard } from '../testing/memory-cluster.ts'

const [SOURCE, TARGET] = [1000, 1001]
const options = { segmentBytes: 4096, indexIntervalBytes: 512, segmentMs: Number.MAX_SAFE_INTEGER }
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`)

/** Shards have disks of their own here: a link from one to another is played by a copy. The store's tests have real ones. */
function linking(disk: Disk, disks: Set<Disk>): Disk {
  disks.add(disk)
  const link = async (source: string, target: string): Promise<void> => {
    if ((await disk.list(source.slice(0, source.lastIndexOf('/')))).length > 0) return disk.link(source, target)
    for (const other of disks) {
      const bytes = other instanceof MemoryDisk ? other.contents(source) : undefined
      if (bytes === undefined) continue
      const file = await disk.open(target, { mode: 'create', direct: false, durable: false })
      await file.write(bytes, 0)
      await file.sync()
      return file.close()
    }
    return disk.link(source, target)
  }
  return new Proxy(disk, {
    get: (owner, name) => {
      const value = name === 'link' ? link : (Reflect.get(owner, name) as unknown)
      return typeof value === 'function' ? (value.bind(owner) as unknown) : value
    }
  })
}

async function write(cluster: MemoryCluster, shard: MemoryShard, values: readonly string[]): Promise<void> {
  const group = shard.group('g')
  for (const value of values) expect(propose(group, [value.padEnd(300, '.')]).kind).toBe('proposed')
  const end = group.log.endOffset
  await cluster.until(() => group.committedOffset === end)
}

const held = async (shard: MemoryShard): Promise<string[]> =>
  (await valuesOf(shard.group('g').log)).map(value => value.replace(/\.+$/, ''))

/** A group with a replica on `SOURCE` (and perhaps others) that has some segments, and a shard beside it that has none. */
async function groupBeside(others: readonly number[] = []): Promise<{ cluster: MemoryCluster; source: MemoryShard }> {
  const disks = new Set<Disk>()
  const cluster = await MemoryCluster.start([SOURCE, TARGET, ...others], {
    store: { wrapDisk: disk => linking(disk, disks) }
  })
  await cluster.open('g', [SOURCE, ...others], { options, preferredLeader: SOURCE })
  const source = await cluster.elect('g')
  await write(cluster, source, numbers(0, 60))
  return { cluster, source: cluster.shard(SOURCE) }
}

async function offerOf(cluster: MemoryCluster, shard: MemoryShard): Promise<ReplicaOffer> {
  const outcome = await cluster.during(shard.host.offer('g'))
  if (outcome.kind !== 'offer') throw new Error(outcome.kind)
  return outcome.offer
}

const request = { name: 'g', options, bootstrap: [], peers: () => [SOURCE, 2000, 3000] }
/** The same as `takeOver` wants it, which tells nobody. */
const taking = { ...request, listener: new ListenerLog() }

async function change(cluster: MemoryCluster, leader: MemoryShard, voters: readonly number[]): Promise<void> {
  let done: boolean | undefined
  void leader
    .group('g')
    .changeReplicas(voters, [])
    .then(result => (done = result))
  await cluster.until(() => done !== undefined)
  expect(done).toBe(true)
}

describe('a replica that takes over what another shard of its node holds', () => {
  it('holds it before it is added, then the rest, and goes on alone', async () => {
    const { cluster, source } = await groupBeside()
    const target = cluster.shard(TARGET)
    const offer = await offerOf(cluster, source)
    expect(offer.files.endOffset).toBe(60)
    await write(cluster, source, numbers(60, 70))
    expect(await cluster.during(target.host.takeOver(taking, offer))).toBe(true)
    await source.store.withdrawOffer(offer.files.directory)
    await cluster.during(target.open(request))
    expect(await held(target)).toEqual(numbers(0, 60))
    await change(cluster, source, [TARGET])
    await cluster.until(() => target.group('g').leading)
    await write(cluster, target, numbers(70, 72))
    expect(await held(target)).toEqual(numbers(0, 72))
    expect(target.group('g').membership).toEqual({ voters: [TARGET], learners: [], joint: false })
    // Nothing of what was taken over was thrown away.
    expect(target.listeners.get('g')!.truncatedTo).toEqual([])
    expect(target.group('g').epochAt(0)).toBe(1)
  })

  it('takes the place of a follower', async () => {
    const { cluster } = await groupBeside([2000, 3000])
    const target = cluster.shard(TARGET)
    const leader = await cluster.elect('g')
    await cluster.advance(500)
    const offer = await offerOf(cluster, cluster.shard(SOURCE))
    expect(await cluster.during(target.host.takeOver(taking, offer))).toBe(true)
    await cluster.during(target.open(request))
    await write(cluster, leader, numbers(60, 64))
    const next = leader.id === SOURCE ? cluster.shard(2000) : leader
    if (leader.id === SOURCE) await cluster.during(leader.group('g').transferLeadership(2000))
    await cluster.until(() => next.group('g').leading)
    await change(cluster, next, [TARGET, 2000, 3000])
    await cluster.until(() => target.group('g').committedOffset === 64)
    expect(await held(target)).toEqual(numbers(0, 64))
  })

  it('has it after a power cut that comes before it is opened, and never votes as another', async () => {
    const { cluster, source } = await groupBeside()
    const target = cluster.shard(TARGET)
    const offer = await offerOf(cluster, source)
    expect(await cluster.during(target.host.takeOver(taking, offer))).toBe(true)
    target.powerOff('drop-all')
    await cluster.during(target.start())
    await cluster.during(target.open(request))
    await cluster.advance(3000)
    expect([target.group('g').role, target.group('g').membership.voters]).toEqual(['follower', [SOURCE]])
    expect(await held(target)).toEqual(numbers(0, 60))
    await change(cluster, source, [TARGET])
    await cluster.until(() => target.group('g').leading)
    expect(await held(target)).toEqual(numbers(0, 60))
  })
})

describe('what a replica offers', () => {
  it('is only what is committed', async () => {
    const { cluster } = await groupBeside([2000, 3000])
    const leader = await cluster.elect('g')
    for (const id of [SOURCE, 2000, 3000]) if (id !== leader.id) cluster.shard(id).kill()
    for (let i = 0; i < 30; i++) propose(leader.group('g'), [`lost ${i}`.padEnd(300, '.')])
    const offer = await offerOf(cluster, leader)
    expect(offer.files.endOffset).toBeLessThanOrEqual(60)
    expect(offer.files.endOffset).toBeGreaterThan(40)
  })

  it('is to be had later when it does not know yet what is committed, and never when it is empty', async () => {
    const { cluster, source } = await groupBeside([2000, 3000])
    expect(await cluster.during(source.host.offer('unknown'))).toEqual({ kind: 'later' })
    for (const shard of cluster.shards) shard.kill('keep-all')
    await cluster.during(source.start())
    await cluster.during(source.open({ ...request, bootstrap: [SOURCE, 2000, 3000] }))
    expect(await cluster.during(source.host.offer('g'))).toEqual({ kind: 'later' })
    await cluster.during(source.open({ name: 'empty', bootstrap: [SOURCE] }))
    expect(await cluster.during(source.host.offer('empty'))).toEqual({ kind: 'nothing' })
  })

  it('is refused by a shard that has something of the group, or knows of another life of it', async () => {
    const { cluster, source } = await groupBeside()
    const target = cluster.shard(TARGET)
    const offer = await offerOf(cluster, source)
    const recovered = { ...taking, recovery: { number: 1, survivor: SOURCE, term: 1000 } }
    expect(await cluster.during(target.host.takeOver(recovered, offer))).toBe(false)
    await source.store.withdrawOffer(offer.files.directory)
    expect(await cluster.during(target.host.takeOver(taking, offer))).toBe(false)
    expect(target.store.logs.size).toBe(0)
    await cluster.during(target.open(request))
    expect(await cluster.during(target.host.takeOver(taking, offer))).toBe(false)
    await change(cluster, source, [TARGET])
    await cluster.until(() => target.group('g').leading)
    expect(await held(target)).toEqual(numbers(0, 60))
  })
})
