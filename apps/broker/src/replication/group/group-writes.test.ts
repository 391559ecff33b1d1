import type { Entry } from '@milena/raft'
import { StoreError, type Log, type LogStore } from '@milena/storage-engine'
import { MemoryStoreHost } from '@milena/storage-engine/testing'
import { BatchBuilder, batchHeader } from '@milena/wire-protocol'
import { describe, expect, it } from 'vitest'
import { batchFormat } from '../../partitions/batch-format.ts'
import { decodeMarks, marksKey } from '../kept/group-state.ts'
import { GroupWrites } from './group-writes.ts'
import { Marks } from '../kept/marks.ts'
import { StateWriter } from '../kept/state-writer.ts'
import { logOptions } from '../testing/memory-cluster.ts'

/** One replica's writes over a store whose puts are durable only when the test says so. */
class Fixture {
  readonly machine = new MemoryStoreHost({ format: batchFormat })
  store!: LogStore
  log!: Log
  writes!: GroupWrites
  /** Puts that wait. */
  puts: (() => void)[] = []
  /** What waits for time to pass. */
  alarms: (() => void)[] = []

  static async open(): Promise<Fixture> {
    const fixture = new Fixture()
    fixture.store = await fixture.machine.open()
    ;[fixture.log] = (await fixture.store.createLogs([{ name: 'g', options: logOptions }])) as [Log]
    fixture.machine.state.faults.delay = done => void fixture.puts.push(done)
    fixture.writes = new GroupWrites({
      name: 'g',
      store: fixture.store,
      log: fixture.log,
      marks: Marks.bootstrap({ kind: 'simple', voters: [1], learners: [] }),
      isVoid: false,
      fold: undefined,
      snapshot: undefined,
      state: new StateWriter(fixture.store.state, task => setImmediate(task)),
      after: (_, callback) => {
        fixture.alarms.push(callback)
        return () => undefined
      },
      onProgress: () => undefined,
      onHeld: () => undefined
    })
    return fixture
  }

  /** Lets everything happen that waits for nothing but puts. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  }

  /** Lets puts become durable until none waits. */
  async drain(): Promise<void> {
    for (await this.settle(); this.puts.length > 0; await this.settle()) this.puts.shift()!()
  }

  get savedMarks(): Marks | undefined {
    const bytes = this.store.state.get(marksKey('g'))
    return bytes === undefined ? undefined : decodeMarks(bytes)
  }
}

function records(index: number, baseOffset: number, term: number, count = 1): Entry<Uint8Array> {
  const builder = new BatchBuilder({ baseOffset })
  for (let i = 0; i < count; i++) builder.append({ key: null, value: Buffer.from('x'), timestamp: 1n })
  const payload = builder.build()
  batchHeader.setLeaderEpoch(payload, 0, term)
  return { kind: 'data', index, term, payload, width: count, bytes: payload.length }
}

const noop = (index: number, term: number): Entry<Uint8Array> => ({ kind: 'noop', index, term })

describe("a replica's writes", () => {
  it('append no record before the marks in front of it are durable', async () => {
    const fixture = await Fixture.open()
    const { writes, log, puts } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1), records(3, 1, 1)], false)
    await fixture.settle()
    expect([log.endOffset, writes.endOffset]).toEqual([0, 2])
    expect(puts).toHaveLength(1)
    expect(writes.durable).toEqual({ index: 0, term: 0 })
    puts.shift()!()
    await fixture.settle()
    expect(log.endOffset).toBe(2)
    await log.flush()
    expect(writes.durable).toEqual({ index: 3, term: 1 })
  })

  it('do not count a mark as durable that is not, whatever is flushed before it', async () => {
    const fixture = await Fixture.open()
    const { writes, log } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1)], false)
    await fixture.drain()
    await log.flush()
    writes.append(undefined, [noop(3, 2), noop(4, 3)], false)
    await fixture.settle()
    expect(writes.durable).toEqual({ index: 2, term: 1 })
    await fixture.drain()
    expect(writes.durable).toEqual({ index: 4, term: 3 })
  })

  it('cut the log first, then the marks, and only then take what follows', async () => {
    const fixture = await Fixture.open()
    const { writes, log } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1, 3), noop(5, 2), records(6, 3, 2)], false)
    await fixture.drain()
    await log.flush()
    expect(writes.append(5, [noop(5, 3), records(6, 3, 3, 2)], false)).toBe(3)
    expect(writes.durable).toBeUndefined()
    let cutAt = -1
    for (await fixture.settle(); fixture.puts.length > 0; await fixture.settle()) {
      const { savedMarks } = fixture
      // Whenever the marks that were cut are gone from the state, the records that they stood before are gone, too.
      if (savedMarks?.count === 1 && cutAt < 0) cutAt = log.endOffset
      if (savedMarks !== undefined && savedMarks.items.at(-1)?.term !== 3) expect(log.endOffset).not.toBe(5)
      fixture.puts.shift()!()
    }
    expect(cutAt).toBe(3)
    await log.flush()
    expect(log.endOffset).toBe(5)
    expect(fixture.savedMarks?.items.map(({ offset, term }) => [offset, term])).toEqual([
      [0, 1],
      [3, 3]
    ])
    expect(writes.durable).toEqual({ index: 7, term: 3 })
  })

  it('forget the marks of what was cut before records of an older term take their place', async () => {
    const fixture = await Fixture.open()
    const { writes, log } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1, 3), noop(5, 2), records(6, 3, 2)], false)
    await fixture.drain()
    expect(writes.append(5, [records(5, 3, 1, 2)], false)).toBe(3)
    for (await fixture.settle(); fixture.puts.length > 0; await fixture.settle()) {
      if (fixture.savedMarks?.count === 2) expect(log.endOffset).not.toBe(5)
      fixture.puts.shift()!()
    }
    expect([log.endOffset, fixture.savedMarks?.count]).toEqual([5, 1])
  })

  it('go on hiding what was to be cut when everything stops before it is', async () => {
    const fixture = await Fixture.open()
    const { writes, log } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1, 3), records(5, 3, 1, 2)], false)
    await fixture.drain()
    await log.flush()
    expect(writes.heldEnd).toBe(5)
    writes.append(5, [noop(5, 2), records(6, 3, 2, 2)], false)
    writes.stop()
    expect([log.endOffset, writes.heldEnd]).toEqual([5, 3])
  })

  it('wait with a cut, and with what follows it, while the disk is full', async () => {
    const fixture = await Fixture.open()
    const { writes, log } = fixture
    writes.append(undefined, [noop(1, 1), records(2, 0, 1, 3), records(5, 3, 1, 2)], false)
    await fixture.drain()
    await log.flush()
    const truncate = log.truncate.bind(log)
    log.truncate = () => Promise.reject(new StoreError('NO_SPACE', 'truncate'))
    writes.append(5, [records(5, 3, 2, 1)], false)
    await fixture.drain()
    expect([log.endOffset, writes.endOffset, writes.heldEnd]).toEqual([5, 4, 3])
    expect(fixture.alarms).toHaveLength(1)
    log.truncate = truncate
    fixture.alarms.shift()!()
    await fixture.drain()
    expect([log.endOffset, writes.heldEnd]).toEqual([4, 4])
  })

  it('write nothing once they have stopped', async () => {
    const { writes, log } = await Fixture.open()
    writes.stop()
    writes.append(undefined, [records(1, 0, 1)], false)
    expect(log.endOffset).toBe(0)
  })

  it('of an earlier life are emptied before the first record of the new one', async () => {
    const fixture = await Fixture.open()
    fixture.writes.append(undefined, [noop(1, 1), records(2, 0, 1, 7)], false)
    await fixture.drain()
    await fixture.log.flush()
    const next = new GroupWrites({
      name: 'g',
      store: fixture.store,
      log: fixture.log,
      marks: Marks.bootstrap(undefined),
      isVoid: true,
      fold: undefined,
      snapshot: undefined,
      state: new StateWriter(fixture.store.state, task => setImmediate(task)),
      after: () => () => undefined,
      onProgress: () => undefined,
      onHeld: () => undefined
    })
    expect(next.endOffset).toBe(0)
    expect(next.durable).toBeUndefined()
    expect(fixture.log.endOffset).toBe(7)
    next.append(undefined, [noop(1, 4), records(2, 0, 4, 2)], false)
    await fixture.drain()
    await fixture.log.flush()
    expect(fixture.log.endOffset).toBe(2)
    expect(next.durable).toEqual({ index: 3, term: 4 })
  })
})
