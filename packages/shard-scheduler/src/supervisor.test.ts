/** Real processes: what the supervisor promises about them. Transitions are tested exactly in supervisor/supervised-shard.test.ts. */
import assert from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, test } from 'vitest'
import { ShardStartError, SupervisorError } from './errors.ts'
import type { FloodReport, SampleConfig, SampleOrder } from './sample-shard.ts'
import { allowedCpus } from './supervisor/affinity.ts'
import type { ShardReport, ShardState } from './supervisor/supervised-shard.ts'
import { startShards, type Shards, type ShardsOptions } from './supervisor.ts'

const linux = process.platform === 'linux'
const folder = mkdtempSync(join(tmpdir(), 'milena-test-'))
const running: Shards[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(shards => shards.drain()))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function start(shardCount: number, config: SampleConfig = {}, options: Partial<ShardsOptions> = {}): Shards {
  const entry = new URL('./sample-shard.ts', import.meta.url)
  const restart = { initialDelayMs: 20, startAttemptsMax: 2 }
  const base = { shardCount, entry, config, socketFolder: join(folder, 'run'), killDelayMs: 300, restart }
  const shards = startShards({ ...base, compileCacheFolder: join(folder, 'cache'), ...options })
  running.push(shards)
  return shards
}

const order = (shards: Shards, shard: number, what: SampleOrder): boolean => shards.send(shard, what)

function untilState(shards: Shards, shard: number, kind: ShardState['kind']): Promise<ShardReport> {
  return new Promise(resolve => {
    const unsubscribe = shards.onState(report => {
      if (report.shard !== shard || report.state.kind !== kind) return
      unsubscribe()
      resolve(report)
    })
  })
}

/** What has not happened by then never will. */
const HANGS_MS = 30_000

async function untilReaches(shards: Shards, shard: number, peers: readonly number[]): Promise<void> {
  for (const endMs = performance.now() + HANGS_MS; performance.now() < endMs; await sleep(20)) {
    const { reachable } = await shards.status(shard, HANGS_MS)
    if (peers.every(peer => reachable.includes(peer))) return
  }
  assert.fail(`shard ${shard} does not reach ${peers.join(', ')}`)
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function untilGone(pid: number): Promise<void> {
  const endMs = performance.now() + HANGS_MS
  while (lives(pid)) {
    assert.ok(performance.now() < endMs, `process ${pid} still lives after ${HANGS_MS} ms`)
    await sleep(10)
  }
}

const pidOf = (shards: Shards, shard: number): number => shards.reports[shard]!.pid!

test('Shards start, know who they are, link, answer, and end when drained; nothing is left behind.', async () => {
  const shards = start(2)
  const said: unknown[] = []
  shards.onMessage((_, payload) => said.push(payload))
  await shards.ready
  assert.deepEqual(
    shards.reports.map(report => report.state.kind),
    ['ready', 'ready']
  )
  await untilReaches(shards, 0, [0, 1])
  await untilReaches(shards, 1, [0, 1])
  const status = await shards.status(1, HANGS_MS)
  assert.deepEqual(status.app, { sample: 1 })
  assert.ok(status.residentBytes > 10_000_000 && status.cpuMicros > 0)
  order(shards, 1, { echo: 2n ** 60n })
  const pids = [pidOf(shards, 0), pidOf(shards, 1)]
  while (said.length < 3) await sleep(5)
  assert.deepEqual(
    said.filter(payload => typeof payload === 'object' && 'echo' in payload!),
    [{ shard: 1, echo: 2n ** 60n }]
  )
  await shards.drain()
  assert.equal(said.filter(payload => payload === 'draining').length, 2)
  for (const pid of pids) assert.equal(lives(pid), false)
  assert.deepEqual(
    shards.reports.map(report => report.state),
    Array(2).fill({ kind: 'stopped', exit: { exitCode: 0, signal: undefined } })
  )
  assert.deepEqual(readdirSync(join(folder, 'run')), [])
})

test.runIf(linux)('Every thread of a shard is on the CPU of its own, unless pinning is off.', async () => {
  const cpus = allowedCpus()
  const threadCpus = (pid: number): string[] => [
    ...new Set(
      readdirSync(`/proc/${pid}/task`).map(
        thread =>
          /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1'))![1]!
      )
    )
  ]
  const shards = start(2)
  await shards.ready
  for (const shard of [0, 1]) {
    assert.deepEqual(threadCpus(pidOf(shards, shard)), [String(cpus[shard % cpus.length])])
  }
  const unpinned = start(1, {}, { pin: false })
  await unpinned.ready
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))![1]!
  assert.deepEqual(threadCpus(pidOf(unpinned, 0)), [list])
})

test('A shard that is killed comes back; the other one goes on and reaches its successor.', async () => {
  const shards = start(2)
  await shards.ready
  await untilReaches(shards, 1, [0])
  const [first, second] = [pidOf(shards, 0), pidOf(shards, 1)]
  for (let round = 1; round <= 2; round++) {
    const back = untilState(shards, 0, 'ready')
    process.kill(pidOf(shards, 0), 'SIGKILL')
    const crashed = await untilState(shards, 0, 'crashed')
    assert.deepEqual(crashed.state, {
      kind: 'crashed',
      exit: { exitCode: undefined, signal: 'SIGKILL' },
      restartDelayMs: 20 * 2 ** (round - 1)
    })
    assert.equal((await shards.status(1, HANGS_MS)).app !== undefined, true)
    assert.equal((await back).restartCount, round)
    await untilReaches(shards, 1, [0])
    await untilReaches(shards, 0, [1])
  }
  assert.notEqual(pidOf(shards, 0), first)
  assert.equal(pidOf(shards, 1), second)
})

test('A shard that exits by itself comes back, whatever its exit code.', async () => {
  const shards = start(1)
  await shards.ready
  for (const exitCode of [0, 9]) {
    const back = untilState(shards, 0, 'ready')
    order(shards, 0, { exitCode })
    const crashed = await untilState(shards, 0, 'crashed')
    assert.ok(crashed.state.kind === 'crashed')
    assert.equal(crashed.state.exit.exitCode, exitCode)
    await assert.rejects(
      shards.status(0),
      (error: unknown) => error instanceof SupervisorError && error.code === 'NOT_RUNNING'
    )
    await back
  }
})

test('When one shard refuses to start, all are stopped and its reason is told.', async () => {
  const shards = start(2, { onStart: 'refuse', onlyShard: 1 })
  await assert.rejects(shards.ready, (error: unknown) => {
    assert.ok(error instanceof ShardStartError)
    assert.equal(error.message, 'shard 1 cannot start: port 9093 is in use')
    return true
  })
  assert.deepEqual(
    shards.reports.map(report => report.pid),
    [undefined, undefined]
  )
})

test('A shard that dies at every start is given up.', async () => {
  const shards = start(1, { onStart: 'exit' })
  await assert.rejects(shards.ready, /2 processes ended before they were ready, the last one with exit code 7/)
})

test('A shard that does not become ready in time is killed.', async () => {
  const shards = start(1, { onStart: 'hang' }, { readyTimeoutMs: 600 })
  await assert.rejects(shards.ready, /2 processes ended before they were ready, the last one with SIGKILL/)
})

test('A shard that hangs in its drain is ended at the deadline; one whose drain throws ends with 1.', async () => {
  const hanging = start(1, { onDrain: 'hang' }, { drainDeadlineMs: 200 })
  const throwing = start(1, { onDrain: 'throw' })
  await Promise.all([hanging.ready, throwing.ready])
  const startMs = performance.now()
  await Promise.all([hanging.drain(), throwing.drain()])
  // The default deadline is ten seconds.
  assert.ok(performance.now() - startMs < 9_000)
  assert.deepEqual(throwing.reports[0]!.state, { kind: 'stopped', exit: { exitCode: 1, signal: undefined } })
  assert.equal(hanging.reports[0]!.state.kind, 'stopped')
})

test('A shard whose loop is stuck is killed when its drain is over, and does not answer before.', async () => {
  const shards = start(1, {}, { drainDeadlineMs: 100, killDelayMs: 100 })
  await shards.ready
  order(shards, 0, { stallMs: 60_000 })
  await sleep(50)
  await assert.rejects(
    shards.status(0, 100),
    (error: unknown) => error instanceof SupervisorError && error.code === 'NO_ANSWER'
  )
  await shards.drain()
  assert.deepEqual(shards.reports[0]!.state, { kind: 'stopped', exit: { exitCode: undefined, signal: 'SIGKILL' } })
})

test('A peer that hangs costs its callers deadlines and refusals, bounded memory, and nothing after it goes on.', async () => {
  const shards = start(2)
  await shards.ready
  await untilReaches(shards, 0, [1])
  const flood = (callCount: number, deadlineMs: number): Promise<FloodReport> => {
    const report = new Promise<FloodReport>(resolve => {
      const unsubscribe = shards.onMessage((_, payload) => {
        unsubscribe()
        resolve(payload as FloodReport)
      })
    })
    order(shards, 0, { flood: 1, callCount, payloadBytes: 512 * 1024, deadlineMs })
    return report
  }
  assert.deepEqual((await flood(20, 10_000)).ends, new Map([['ok', 20]]))
  const hanging = pidOf(shards, 1)
  process.kill(hanging, 'SIGSTOP')
  try {
    const { ends, residentBytes } = await flood(1_000, 700)
    assert.deepEqual([...ends.keys()].sort(), ['DEADLINE', 'OVERLOADED'])
    assert.ok(ends.get('DEADLINE')! >= 120 && ends.get('DEADLINE')! <= 130, `${ends.get('DEADLINE')}`)
    assert.ok(residentBytes < 250_000_000, `${residentBytes}`)
  } finally {
    process.kill(hanging, 'SIGCONT')
  }
  assert.deepEqual((await flood(5, 10_000)).ends, new Map([['ok', 5]]))
  assert.equal(pidOf(shards, 1), hanging)
})

test('A shard that gets SIGTERM or SIGINT drains before it exits.', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const shards = start(1, {}, { restart: { initialDelayMs: 10_000 } })
    const said: unknown[] = []
    shards.onMessage((_, payload) => said.push(payload))
    await shards.ready
    const crashed = untilState(shards, 0, 'crashed')
    process.kill(pidOf(shards, 0), signal)
    assert.deepEqual((await crashed).state, {
      kind: 'crashed',
      exit: { exitCode: 0, signal: undefined },
      restartDelayMs: 10_000
    })
    assert.equal(said.at(-1), 'draining')
    await shards.drain()
  }
})

test('Stalls of a shard are counted in its status.', async () => {
  const shards = start(1)
  await shards.ready
  const before = await shards.status(0, HANGS_MS)
  order(shards, 0, { stallMs: 150 })
  await new Promise<void>(resolve => shards.onMessage((_, payload) => payload === 'stalled' && resolve()))
  await sleep(30)
  const after = await shards.status(0, HANGS_MS)
  assert.ok(after.stallCount > before.stallCount)
  assert.ok(after.longestStallMs >= 125, `${after.longestStallMs}`)
})

test('When the supervisor is killed, its shards exit by themselves, and the next one clears its sockets away.', async () => {
  const script = `
    import { startShards } from ${JSON.stringify(new URL('./supervisor.ts', import.meta.url).href)}
    const shards = startShards({ shardCount: 2, entry: new URL(${JSON.stringify(new URL('./sample-shard.ts', import.meta.url).href)}),
      config: { onDrain: 'hang', onlyShard: 1 }, socketFolder: ${JSON.stringify(join(folder, 'run'))},
      compileCacheFolder: ${JSON.stringify(join(folder, 'cache'))} })
    await shards.ready
    console.log(JSON.stringify(shards.reports.map(report => report.pid)))`
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [line] = (await once(createInterface({ input: supervisor.stdout }), 'line')) as [string]
  const pids = JSON.parse(line) as number[]
  assert.equal(pids.length, 2)
  for (const pid of pids) assert.equal(lives(pid), true)
  supervisor.kill('SIGKILL')
  for (const pid of pids) await untilGone(pid)
  const [left] = readdirSync(join(folder, 'run'))
  assert.ok(left !== undefined)
  const next = start(2)
  await next.ready
  assert.equal(existsSync(join(folder, 'run', left)), false)
})
