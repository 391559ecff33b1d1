import type { AppendOptions, AppendResult } from '@milena/gateway'
import type { ReadResult } from '@milena/storage-engine'
import { BatchBuilder, batchHeader } from '@milena/wire-protocol'
import { describe, expect, it } from 'vitest'
import { parseBrokerSettings } from '../settings/parse.ts'
import { resolveTopicSettings } from '../settings/topic-config-view.ts'
import type { ProposeOutcome, ReplicatedLog } from '../replication/contract.ts'
import { BacklogBudget } from './backlog.ts'
import { Partition } from './partition.ts'
import { ProducerState } from './producers/producer-state.ts'

const NOW = 1_700_000_000_000
const options: AppendOptions = { acks: -1, timeoutMs: 1000, apiVersion: 12, transactionalId: null }

/** A log in an array that flushes when told to and has room for as many entries as told. */
class FakeLog {
  readonly name = 'fake'
  readonly entries: Uint8Array[] = []
  startOffset = 0
  flushedOffset = 0
  room = Infinity
  failed = false

  get endOffset(): number {
    const last = this.entries.at(-1)
    return last === undefined ? 0 : batchHeader.lastOffset(last, 0) + 1
  }

  append(entry: Uint8Array): 'appended' | 'full' | 'failed' {
    if (this.failed) return 'failed'
    if (this.room-- <= 0) return 'full'
    this.entries.push(entry.slice())
    return 'appended'
  }

  read(offset: number, _maxBytes: number, endBefore: number): ReadResult {
    const found = this.entries.filter(
      e => batchHeader.lastOffset(e, 0) >= offset && batchHeader.baseOffset(e, 0) < endBefore
    )
    const last = found.at(-1)
    return {
      slices: found,
      byteCount: found.reduce((sum, entry) => sum + entry.length, 0),
      nextOffset: last === undefined ? offset : batchHeader.lastOffset(last, 0) + 1,
      release: () => undefined
    }
  }
}

/** A group whose role and followers a test decides. */
class FakeGroup {
  readonly name = 'fake'
  readonly self = 1
  readonly log: FakeLog
  term = 4
  role: ReplicatedLog['role'] = 'leader'
  leader: number | undefined = 1
  leading = true
  inSync: readonly number[] = [1]
  voters: readonly number[] = [1]
  /** What each other voter holds. */
  held: number[] = []
  committed: number | undefined
  makeRoom: () => void = () => undefined

  constructor(log: FakeLog) {
    this.log = log
  }

  get committedOffset(): number {
    return this.committed ?? this.log.flushedOffset
  }

  get membership(): ReplicatedLog['membership'] {
    return { voters: this.voters, learners: [], joint: false }
  }

  durableAt(count: number): number {
    return [this.log.flushedOffset, ...this.held].sort((a, b) => b - a)[count - 1] ?? 0
  }

  propose(batch: Uint8Array): ProposeOutcome {
    if (this.role !== 'leader') return { kind: 'notLeader', leader: this.leader }
    const outcome = this.log.append(batch)
    return { kind: outcome === 'appended' ? 'proposed' : outcome }
  }

  whenWritable(): Promise<void> {
    return new Promise(resolve => (this.makeRoom = resolve))
  }

  endOffsetOfEpoch(epoch: number): { epoch: number; endOffset: number } | undefined {
    if (epoch > this.term) return undefined
    return epoch === this.term ? { epoch, endOffset: this.log.endOffset } : { epoch: 2, endOffset: 1 }
  }

  epochAt(): number {
    return this.term
  }

  followers(): ReturnType<ReplicatedLog['followers']> {
    return []
  }
}

interface SetUp {
  readonly log: FakeLog
  readonly group: FakeGroup
  readonly partition: Partition
  readonly makeRoom: () => void
  readonly clock: { nowMs: number }
}

function setUp(configs: Record<string, string> = {}): SetUp {
  const log = new FakeLog()
  const group = new FakeGroup(log)
  const clock = { nowMs: 0 }
  const partition = new Partition({
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    partition: 0,
    producers: new ProducerState({ expirationMs: () => 1000, now: () => NOW }),
    settings: resolveTopicSettings(configs, parseBrokerSettings(new Map())),
    context: {
      backlog: new BacklogBudget(1000),
      entryBytesMax: 1_000_000,
      now: () => NOW,
      monotonic: () => clock.nowMs,
      after: () => () => undefined,
      deleteRecords: () => Promise.resolve(false),
      rackOf: undefined,
      onWaiting: () => undefined,
      onLeadership: () => undefined
    }
  })
  partition.bind(group as unknown as ReplicatedLog)
  return { log, group, partition, makeRoom: () => group.makeRoom(), clock }
}

function batch(
  count: number,
  producer?: { id: bigint; epoch: number; sequence: number },
  timestamp = BigInt(NOW)
): Uint8Array {
  const builder = new BatchBuilder(
    producer === undefined
      ? {}
      : { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence }
  )
  for (let i = 0; i < count; i++)
    builder.append({ key: null, value: Buffer.from(`value ${i}`), timestamp, headers: [] })
  return builder.build()
}

function flush(log: FakeLog, partition: Partition): void {
  log.flushedOffset = log.endOffset
  partition.advanced()
}

const settled = async (promise: Promise<AppendResult>): Promise<AppendResult | 'pending'> =>
  Promise.race([promise, new Promise<'pending'>(resolve => setImmediate(() => resolve('pending')))])

describe('a partition', () => {
  it('answers acks=all when the log has flushed, not before', async () => {
    const { log, partition } = setUp()
    const answer = partition.append(batch(3), options)
    expect(await settled(answer)).toBe('pending')
    flush(log, partition)
    expect(await answer).toMatchObject({ kind: 'appended', baseOffset: 0, logAppendTimeMs: -1n })
  })

  it('gives batches consecutive offsets and its leader epoch, and leaves the rest as sent', async () => {
    const { log, partition } = setUp()
    const sent = batch(2)
    const original = sent.slice()
    void partition.append(batch(3), options)
    void partition.append(sent, options)
    const [, stored] = log.entries
    if (stored === undefined) throw new Error('nothing stored')
    expect(batchHeader.baseOffset(stored, 0)).toBe(3)
    expect(batchHeader.leaderEpoch(stored, 0)).toBe(4)
    expect(Buffer.compare(stored.subarray(16), original.subarray(16))).toBe(0)
  })

  it('answers acks=0 at once', async () => {
    const { partition } = setUp()
    expect(await settled(partition.append(batch(1), { ...options, acks: 0 }))).toMatchObject({ kind: 'appended' })
  })

  it('answers a retry with the first offset, once that is durable', async () => {
    const { log, partition } = setUp()
    const producer = { id: 7n, epoch: 0, sequence: 0 }
    const first = partition.append(batch(2, producer), options)
    const retry = partition.append(batch(2, producer), options)
    expect(await settled(retry)).toBe('pending')
    flush(log, partition)
    expect(await first).toMatchObject({ baseOffset: 0 })
    expect(await retry).toMatchObject({ kind: 'appended', baseOffset: 0 })
    expect(log.entries).toHaveLength(1)
  })

  it('refuses a gap in the sequence and a batch that is too large', async () => {
    const { partition } = setUp({ 'max.message.bytes': '200' })
    void partition.append(batch(1, { id: 7n, epoch: 0, sequence: 0 }), options)
    expect(await partition.append(batch(1, { id: 7n, epoch: 0, sequence: 5 }), options)).toMatchObject({
      error: 'OUT_OF_ORDER_SEQUENCE_NUMBER'
    })
    expect(await partition.append(batch(100), options)).toMatchObject({ error: 'MESSAGE_TOO_LARGE' })
  })

  it('refuses transactional batches: nothing can have opened a transaction', async () => {
    const { partition, log } = setUp()
    const builder = new BatchBuilder({ producerId: 7n, producerEpoch: 0, baseSequence: 0, isTransactional: true })
    builder.append({ key: null, value: null, timestamp: BigInt(NOW) })
    expect(await partition.append(builder.build(), options)).toMatchObject({ error: 'INVALID_TXN_STATE' })
    expect(log.entries).toHaveLength(0)
  })

  it('stores batches in the codec of the topic, whatever they came in, and knows a retry all the same', async () => {
    const { log, partition } = setUp({ 'compression.type': 'gzip', 'message.timestamp.type': 'LogAppendTime' })
    const producer = { id: 7n, epoch: 0, sequence: 0 }
    const answers = [partition.append(batch(3, producer), options), partition.append(batch(3, producer), options)]
    flush(log, partition)
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ kind: 'appended', baseOffset: 0 })
    const [stored, ...others] = log.entries
    if (stored === undefined) throw new Error('nothing stored')
    expect(others).toEqual([])
    expect(batchHeader.codec(stored, 0)).toBe(1)
    expect(batchHeader.maxTimestamp(stored, 0)).toBe(BigInt(NOW))
    expect(batchHeader.leaderEpoch(stored, 0)).toBe(4)
    expect(batchHeader.computeCrc(stored, 0)).toBe(batchHeader.crc(stored, 0))
  })

  it('stamps batches with the time of appending when the topic says so', async () => {
    const { log, partition } = setUp({ 'message.timestamp.type': 'LogAppendTime' })
    const answer = partition.append(batch(1, undefined, 5n), options)
    flush(log, partition)
    expect(await answer).toMatchObject({ logAppendTimeMs: BigInt(NOW) })
    const [stored] = log.entries
    if (stored === undefined) throw new Error('nothing stored')
    expect(batchHeader.maxTimestamp(stored, 0)).toBe(BigInt(NOW))
    expect(batchHeader.computeCrc(stored, 0)).toBe(batchHeader.crc(stored, 0))
  })

  it('answers a retry with the time of its records, and shows its producer to operators', async () => {
    const { log, group, partition } = setUp()
    const sent = { id: 7n, epoch: 2, sequence: 0 }
    const first = partition.append(batch(3, sent), options)
    flush(log, partition)
    const again = partition.append(batch(3, sent), options)
    expect([await first, await again]).toMatchObject([
      { baseOffset: 0, logAppendTimeMs: -1n },
      { baseOffset: 0, logAppendTimeMs: BigInt(NOW) }
    ])
    const producers = [{ producerId: 7n, producerEpoch: 2, lastSequence: 2, lastTimestamp: BigInt(NOW) }]
    expect(await partition.describeProducers()).toEqual({ kind: 'found', producers })
    group.role = 'follower'
    expect(await partition.describeProducers()).toEqual({ kind: 'refused', error: 'NOT_LEADER_OR_FOLLOWER' })
  })

  it('keeps batches in order while the log has no room, within its budget', async () => {
    const { log, partition, makeRoom } = setUp()
    log.room = 1
    const answers = [1, 2, 3].map(count => partition.append(batch(count), options))
    expect(await partition.append(batch(500), options)).toMatchObject({ error: 'REQUEST_TIMED_OUT' })
    log.room = Infinity
    makeRoom()
    await new Promise(resolve => setImmediate(resolve))
    makeRoom()
    await new Promise(resolve => setImmediate(resolve))
    flush(log, partition)
    expect((await Promise.all(answers)).map(a => a.kind === 'appended' && a.baseOffset)).toEqual([0, 1, 3])
  })

  it('forgets what waited when the log refuses it for good, and goes on from the end of the log', async () => {
    const { log, partition, makeRoom } = setUp()
    log.room = 1
    const producer = (sequence: number): { id: bigint; epoch: number; sequence: number } => ({
      id: 7n,
      epoch: 0,
      sequence
    })
    const first = partition.append(batch(1, producer(0)), options)
    const lost = partition.append(batch(1, producer(1)), options)
    log.failed = true
    makeRoom()
    expect(await lost).toMatchObject({ error: 'KAFKA_STORAGE_ERROR' })
    log.failed = false
    log.room = Infinity
    const again = partition.append(batch(1, producer(1)), options)
    flush(log, partition)
    expect(await first).toMatchObject({ baseOffset: 0 })
    expect(await again).toMatchObject({ kind: 'appended', baseOffset: 1 })
  })

  it('shows readers what is flushed and nothing else', async () => {
    const { log, partition } = setUp()
    void partition.append(batch(2), options)
    flush(log, partition)
    void partition.append(batch(2), options)
    const request = {
      offset: 0,
      maxBytes: 1_000_000,
      atLeastOne: true,
      isolation: 'read_uncommitted',
      currentLeaderEpoch: -1,
      lastFetchedEpoch: -1,
      leaderOnly: false,
      clientRack: ''
    } as const
    expect(await partition.read(request)).toMatchObject({
      kind: 'data',
      highWatermark: 2,
      byteCount: log.entries[0]?.length
    })
    expect(await partition.read({ ...request, offset: 2 })).toMatchObject({ kind: 'data', byteCount: 0 })
    expect(await partition.read({ ...request, offset: 3 })).toMatchObject({ kind: 'data', byteCount: 0 })
    const outside = { kind: 'refused', error: 'OFFSET_OUT_OF_RANGE' } as const
    const untold = { highWatermark: -1, lastStableOffset: -1, logStartOffset: -1 }
    expect(await partition.read({ ...request, offset: 5 })).toEqual({ ...outside, ...untold })
    const first = { kind: 'data', byteCount: log.entries[0]?.length }
    expect(await partition.read({ ...request, maxBytes: 0 })).toMatchObject(first)
    expect(await partition.read({ ...request, maxBytes: 0, atLeastOne: false })).toMatchObject({ byteCount: 0 })
    expect(await partition.read({ ...request, currentLeaderEpoch: 3 })).toMatchObject({ error: 'FENCED_LEADER_EPOCH' })
    expect(await partition.read({ ...request, currentLeaderEpoch: 5 })).toMatchObject({ error: 'UNKNOWN_LEADER_EPOCH' })
  })

  it('answers all that waits when it is taken away', async () => {
    const { partition } = setUp()
    const answer = partition.append(batch(1), options)
    let woken = 0
    partition.watch(() => woken++)
    partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
    expect(await answer).toMatchObject({ kind: 'refused', error: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(woken).toBe(1)
    expect(await partition.append(batch(1), options)).toMatchObject({ error: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })
})

const request = {
  offset: 0,
  maxBytes: 1_000_000,
  atLeastOne: true,
  isolation: 'read_uncommitted',
  currentLeaderEpoch: -1,
  lastFetchedEpoch: -1,
  leaderOnly: false,
  clientRack: ''
} as const

describe('a partition with followers', () => {
  function three(configs: Record<string, string> = {}): SetUp {
    const setup = setUp(configs)
    setup.group.voters = setup.group.inSync = [1, 2, 3]
    setup.group.committed = 0
    return setup
  }

  it('answers acks=1 when the batch is durable here, acks=all when it is committed', async () => {
    const { log, group, partition } = three()
    const one = partition.append(batch(1), { ...options, acks: 1 })
    const all = partition.append(batch(1), options)
    log.flushedOffset = 2
    partition.advanced()
    expect(await one).toMatchObject({ kind: 'appended', baseOffset: 0 })
    expect(await settled(all)).toBe('pending')
    group.committed = 2
    partition.advanced()
    expect(await all).toMatchObject({ kind: 'appended', baseOffset: 1 })
  })

  it('waits with acks=all for as many replicas as the topic wants, beyond the majority', async () => {
    const { log, group, partition } = three({ 'min.insync.replicas': '3' })
    const answer = partition.append(batch(1), options)
    log.flushedOffset = group.committed = 1
    group.held = [1, 0]
    partition.advanced()
    expect(await settled(answer)).toBe('pending')
    group.held = [1, 1]
    partition.advanced()
    expect(await answer).toMatchObject({ kind: 'appended' })
  })

  it('takes nothing with acks=all while too few are in sync, and says so of what was committed meanwhile', async () => {
    const { log, group, partition } = three({ 'min.insync.replicas': '3' })
    const before = partition.append(batch(1), options)
    group.inSync = [1, 2]
    expect(await partition.append(batch(1), options)).toMatchObject({ error: 'NOT_ENOUGH_REPLICAS' })
    expect(log.entries).toHaveLength(1)
    void partition.append(batch(1), { ...options, acks: 1 })
    expect(log.entries).toHaveLength(2)
    log.flushedOffset = group.committed = 1
    group.held = [1, 0]
    partition.advanced()
    expect(await before).toMatchObject({ error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND' })
  })

  it('wants no more replicas than it has', async () => {
    const { log, partition } = setUp({ 'min.insync.replicas': '3' })
    const answer = partition.append(batch(1), options)
    flush(log, partition)
    expect(await answer).toMatchObject({ kind: 'appended' })
  })

  it('gives up waiting after the time of each request', async () => {
    const { log, group, partition, clock } = three()
    const short = partition.append(batch(1), { ...options, timeoutMs: 100 })
    const long = partition.append(batch(1), { ...options, timeoutMs: 5000 })
    clock.nowMs = 150
    partition.expire(clock.nowMs)
    expect(await short).toMatchObject({ error: 'REQUEST_TIMED_OUT' })
    expect(partition.isWaiting).toBe(true)
    log.flushedOffset = group.committed = 2
    partition.advanced()
    expect(await long).toMatchObject({ kind: 'appended', baseOffset: 1 })
    expect(partition.isWaiting).toBe(false)
  })

  it('answers at once, when it loses leadership, everyone who waits, and takes nothing more', async () => {
    const { log, group, partition } = three()
    log.room = 1
    const answers = [1, 1].map(() => partition.append(batch(1), options))
    const one = partition.append(batch(1), { ...options, acks: 1 })
    let woken = 0
    partition.watch(() => woken++)
    group.role = 'follower'
    group.leader = 2
    group.leading = false
    group.term = 5
    partition.roleChanged()
    for (const answer of [...answers, one]) {
      expect(await answer).toMatchObject({ kind: 'refused', error: 'NOT_LEADER_OR_FOLLOWER' })
    }
    expect(await partition.append(batch(1), options)).toMatchObject({ error: 'NOT_LEADER_OR_FOLLOWER' })
    expect(woken).toBe(1)
    expect(partition.leaderEpoch).toBe(5)
  })

  it('of a new leader that does not know yet what was committed before it tells clients to come back', async () => {
    const { group, partition } = three()
    group.leading = false
    expect(await partition.append(batch(1), options)).toMatchObject({ error: 'LEADER_NOT_AVAILABLE' })
    expect(await partition.read(request)).toMatchObject({ error: 'LEADER_NOT_AVAILABLE' })
    const latest = { isolation: 'read_uncommitted', currentLeaderEpoch: -1, leaderOnly: true } as const
    expect(await partition.offsetFor({ kind: 'latest' }, latest)).toMatchObject({ error: 'OFFSET_NOT_AVAILABLE' })
  })

  it('of a follower serves what it knows to be committed, to clients that may read there', async () => {
    const { log, group, partition } = three()
    void partition.append(batch(2), options)
    group.role = 'follower'
    group.leader = 2
    group.leading = false
    log.flushedOffset = 2
    group.committed = 1
    const { length } = log.entries[0] ?? []
    group.committed = 2
    expect(await partition.read(request)).toMatchObject({ kind: 'data', byteCount: length, highWatermark: 2 })
    expect(await partition.read({ ...request, leaderOnly: true })).toMatchObject({ error: 'NOT_LEADER_OR_FOLLOWER' })
    group.leader = undefined
    expect(await partition.read(request)).toMatchObject({ error: 'NOT_LEADER_OR_FOLLOWER' })
  })

  it('tells a client where its log and this one part', async () => {
    const { log, partition } = three()
    void partition.append(batch(4), options)
    log.flushedOffset = 4
    expect(await partition.read({ ...request, offset: 3, lastFetchedEpoch: 3 })).toMatchObject({
      kind: 'diverging',
      epoch: 2,
      endOffset: 1
    })
    expect(await partition.read({ ...request, offset: 3, lastFetchedEpoch: 4 })).toMatchObject({ kind: 'data' })
    expect(await partition.read({ ...request, offset: 3, lastFetchedEpoch: 9 })).toMatchObject({
      error: 'OFFSET_OUT_OF_RANGE'
    })
  })
})
