import assert from 'node:assert'
import { beforeEach, describe, test } from 'vitest'
import { ManualScheduler } from '../scheduler/manual-scheduler.ts'
import type { FromShard, ToShard } from './control-channel.ts'
import { defaultRestartSettings } from './restart-backoff.ts'
import type { ShardChild, ShardExit } from './shard-child.ts'
import { SupervisedShard } from './supervised-shard.ts'

/** A process that does what the test says. */
class FakeChild implements ShardChild {
  readonly pid: number
  readonly sent: ToShard[] = []
  readonly signals: string[] = []
  say: (message: FromShard) => void = () => {}
  exit: (exit: ShardExit) => void = () => {}

  constructor(pid: number) {
    this.pid = pid
  }
  send(message: ToShard): void {
    this.sent.push(message)
  }
  kill(signal: string): void {
    this.signals.push(signal)
  }
  onMessage(listener: (message: FromShard) => void): void {
    this.say = listener
  }
  onExit(listener: (exit: ShardExit) => void): void {
    this.exit = listener
  }
}

const crash: ShardExit = { exitCode: undefined, signal: 'SIGKILL' }
const cleanExit: ShardExit = { exitCode: 0, signal: undefined }

let scheduler: ManualScheduler
let children: FakeChild[]
let states: string[]
let failures: string[]
let shard: SupervisedShard

beforeEach(() => {
  scheduler = new ManualScheduler()
  children = []
  states = []
  failures = []
  shard = new SupervisedShard({
    shard: 3,
    scheduler,
    spawn: () => {
      const child = new FakeChild(100 + children.length)
      children.push(child)
      return child
    },
    start: {
      type: 'start',
      shard: 3,
      shardCount: 4,
      socketFolder: '/s',
      token: 't',
      cpu: 3,
      drainDeadlineMs: 5_000,
      config: { a: 1 }
    },
    readyTimeoutMs: 1_000,
    drainDeadlineMs: 5_000,
    killDelayMs: 500,
    restart: { ...defaultRestartSettings, startAttemptsMax: 3 },
    onState: report => states.push(report.state.kind),
    onMessage: () => {},
    onNote: () => {},
    onStartFailure: reason => failures.push(reason)
  })
  shard.start()
})

const last = (): FakeChild => children.at(-1)!

describe('a supervised shard', () => {
  test('is told what it is at once, and is ready when it says so.', async () => {
    assert.deepEqual(
      last().sent.map(message => message.type),
      ['start']
    )
    assert.deepEqual(shard.report, { shard: 3, pid: 100, restartCount: 0, state: { kind: 'starting' } })
    scheduler.stall(70)
    last().say({ type: 'ready' })
    assert.deepEqual(shard.report.state, { kind: 'ready', startupMs: 70 })
    await scheduler.advance(10_000)
    assert.deepEqual(last().signals, [])
  })

  test('that crashes is started again after a wait that doubles with each crash in a row.', async () => {
    const waits: number[] = []
    for (let round = 0; round < 5; round++) {
      last().say({ type: 'ready' })
      last().exit(crash)
      const { state } = shard.report
      assert.ok(state.kind === 'crashed')
      assert.equal(shard.report.pid, undefined)
      waits.push(state.restartDelayMs)
      await scheduler.advance(state.restartDelayMs - 1)
      assert.equal(children.length, round + 1)
      await scheduler.advance(1)
      assert.equal(children.length, round + 2)
    }
    assert.deepEqual(waits, [100, 200, 400, 800, 1_600])
    assert.equal(shard.report.restartCount, 5)
  })

  test('that was ready for long begins again with the first wait.', async () => {
    for (const readyMs of [0, 0, 30_000]) {
      last().say({ type: 'ready' })
      await scheduler.advance(readyMs)
      last().exit(crash)
      await scheduler.advance(10_000)
    }
    last().say({ type: 'ready' })
    last().exit(crash)
    assert.deepEqual(shard.report.state, { kind: 'crashed', exit: crash, restartDelayMs: 200 })
  })

  test('that exits with 0 unasked counts as crashed.', () => {
    last().say({ type: 'ready' })
    last().exit(cleanExit)
    assert.equal(shard.report.state.kind, 'crashed')
  })

  test('that is not ready in time is killed and started again.', async () => {
    await scheduler.advance(999)
    assert.deepEqual(last().signals, [])
    await scheduler.advance(1)
    assert.deepEqual(last().signals, ['SIGKILL'])
    last().exit(crash)
    await scheduler.advance(100)
    assert.equal(children.length, 2)
  })

  test('that says before it was ever ready why it cannot start is given up, with its words.', async () => {
    last().say({ type: 'failed', reason: 'port 9092 is in use' })
    last().exit({ exitCode: 1, signal: undefined })
    assert.deepEqual(failures, ['port 9092 is in use'])
    await scheduler.advance(60_000)
    assert.equal(children.length, 1)
    assert.equal(shard.report.state.kind, 'stopped')
  })

  test('that crashes too often before it was ever ready is given up.', async () => {
    for (let round = 0; round < 3; round++) {
      last().exit(crash)
      await scheduler.advance(10_000)
    }
    assert.deepEqual(failures, ['3 processes ended before they were ready, the last one with SIGKILL'])
    assert.equal(children.length, 3)
  })

  test('that fails to start after it was ready once is tried again for ever.', async () => {
    last().say({ type: 'ready' })
    last().exit(crash)
    for (let round = 0; round < 20; round++) {
      await scheduler.advance(10_000)
      last().say({ type: 'failed', reason: 'disk full' })
      last().exit({ exitCode: 1, signal: undefined })
    }
    assert.deepEqual(failures, [])
    assert.equal(children.length, 21)
  })

  test('drains on request: message, then SIGTERM at the deadline, then SIGKILL; it is not started again.', async () => {
    last().say({ type: 'ready' })
    let stopped = false
    const drained = shard.drain().then(() => (stopped = true))
    assert.equal(shard.drain(), shard.drain())
    assert.deepEqual(last().sent.at(-1), { type: 'drain', deadlineMs: 5_000 })
    await scheduler.advance(4_999)
    assert.deepEqual(last().signals, [])
    await scheduler.advance(1)
    assert.deepEqual(last().signals, ['SIGTERM'])
    await scheduler.advance(500)
    assert.deepEqual(last().signals, ['SIGTERM', 'SIGKILL'])
    assert.equal(stopped, false)
    last().exit(crash)
    await drained
    await scheduler.advance(60_000)
    assert.equal(children.length, 1)
    assert.deepEqual(states, ['starting', 'ready', 'draining', 'stopped'])
  })

  test('that drains in time gets no signal.', async () => {
    last().say({ type: 'ready' })
    const drained = shard.drain()
    last().exit(cleanExit)
    await drained
    await scheduler.advance(60_000)
    assert.deepEqual(last().signals, [])
  })

  test('that is down when the drain comes is not started again.', async () => {
    last().say({ type: 'ready' })
    last().exit(crash)
    await shard.drain()
    await scheduler.advance(60_000)
    assert.equal(children.length, 1)
    assert.equal(shard.report.state.kind, 'stopped')
  })

  test('does not take words or the end of a former process for those of the present one.', async () => {
    const former = last()
    former.say({ type: 'ready' })
    former.exit(crash)
    await scheduler.advance(100)
    former.say({ type: 'ready' })
    former.exit(crash)
    assert.equal(shard.report.state.kind, 'starting')
    assert.equal(children.length, 2)
  })
})
