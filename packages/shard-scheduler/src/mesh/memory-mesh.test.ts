import assert from 'node:assert'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { MeshError } from '../errors.ts'
import { ManualScheduler } from '../scheduler/manual-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { MemoryMeshNetwork } from './memory-mesh.ts'
import { meshCompliance, type MeshFixture, type OpenMeshes } from './mesh-compliance.ts'

const openManual: OpenMeshes = async (shardCount, limits = {}) => {
  const scheduler = new ManualScheduler()
  return fixtureOf(new MemoryMeshNetwork(shardCount, { scheduler, limits }), {
    pass: durationMs => scheduler.advance(durationMs),
    until: promise => driveUntil(scheduler, promise)
  })
}

const openReal: OpenMeshes = async (shardCount, limits = {}) =>
  fixtureOf(new MemoryMeshNetwork(shardCount, { limits }), { pass: sleep, until: promise => promise })

function fixtureOf(network: MemoryMeshNetwork, time: Pick<MeshFixture, 'pass' | 'until'>): MeshFixture {
  const shards = network.meshes.map(mesh => mesh.shard)
  return {
    meshes: [...network.meshes],
    ...time,
    stop: async shard => {
      for (const other of shards) network.disconnect(shard, other)
      await network.meshes[shard]!.close()
    },
    start: shard => network.restart(shard),
    close: async () => {
      await Promise.all(network.meshes.map(mesh => mesh.close()))
    }
  }
}

async function driveUntil<Result>(scheduler: ManualScheduler, promise: Promise<Result>): Promise<Result> {
  let settled = false
  const settle = (): boolean => (settled = true)
  promise.then(settle, settle)
  for (let step = 0; !settled && step < 10_000; step++) await scheduler.advance(1)
  assert.ok(settled, 'nothing happened in 10 s')
  return promise
}

describe('meshes in memory, clock moved by hand', () => {
  for (const { title, run } of meshCompliance(openManual)) test(title, run)
})

describe('meshes in memory, on the real loop', () => {
  for (const { title, run } of meshCompliance(openReal)) test(title, run)
})

describe('a network in memory', () => {
  test('Two runs with the same scheduler deliver the same calls in the same turns.', async () => {
    assert.deepEqual(await transcript(), await transcript())
  })

  test('A link that stalls delivers nothing, and everything in order when it goes on.', async () => {
    const scheduler = new ManualScheduler()
    const network = new MemoryMeshNetwork(2, { scheduler })
    const [left, right] = network.meshes
    const delivered: number[] = []
    right!.serve('take', payload => {
      delivered.push(payload[0]!)
      return payload
    })
    network.stall(0, 1, true)
    const calls = [1, 2, 3].map(value => left!.submitTo(1, 'take', Uint8Array.of(value)))
    await scheduler.advance(100)
    assert.deepEqual(delivered, [])
    network.stall(0, 1, false)
    await scheduler.advance(1)
    assert.deepEqual(delivered, [1, 2, 3])
    await Promise.all(calls)
  })

  test('A shard whose process ends hears nothing more, the others learn of it, and its successor is a new one.', async () => {
    const scheduler = new ManualScheduler()
    const network = new MemoryMeshNetwork(2, { scheduler, started: false })
    const left = network.start(0)
    assert.deepEqual([...left.reachable], [0])
    const right = network.start(1)
    right.serve('wait', () => new Promise(() => {}))
    const news: string[] = []
    left.onPeerChange((shard, reachable) => news.push(`left: ${shard} ${reachable}`))
    right.onPeerChange((shard, reachable) => news.push(`right: ${shard} ${reachable}`))
    const lost = left.submitTo(1, 'wait', new Uint8Array(0)).catch(codeOf)
    await scheduler.advance(10)
    network.crash(1)
    const successor = network.start(1)
    successor.serve('wait', payload => payload)
    await scheduler.advance(10)
    assert.equal(await lost, 'UNREACHABLE')
    assert.deepEqual(news, ['left: 1 false', 'left: 1 true'])
    assert.deepEqual([...right.reachable].sort(), [0, 1])
    const answer = left.submitTo(1, 'wait', Uint8Array.of(5))
    await scheduler.advance(10)
    assert.deepEqual(await answer, Uint8Array.of(5))
    assert.deepEqual(network.meshes, [left, successor])
  })

  test('A call whose deadline passes before its link takes it never runs, and its bytes are given back.', async () => {
    const scheduler = new ManualScheduler()
    const limits = { batchBytesMax: 1000, batchesInFlightMax: 1, pendingBytesMax: 10_000 }
    const network = new MemoryMeshNetwork(2, { scheduler, limits })
    const [left, right] = network.meshes
    const delivered: number[] = []
    right!.serve('take', payload => {
      delivered.push(payload[0]!)
      return new Uint8Array(0)
    })
    network.stall(0, 1, true)
    const ends = [1, 2, 3].map(value =>
      left!.submitTo(1, 'take', new Uint8Array(900).fill(value), { deadlineMs: value === 2 ? 50 : 1000 })
    )
    const codes = Promise.all(ends.map(end => end.then(() => 'ok', codeOf)))
    await scheduler.advance(100)
    assert.equal(left!.loadOf(1).pendingCallCount, 2)
    assert.ok(left!.loadOf(1).queuedBytes < 2 * 1000)
    network.stall(0, 1, false)
    await scheduler.advance(10)
    assert.deepEqual(delivered, [1, 3])
    assert.deepEqual(await codes, ['ok', 'DEADLINE', 'ok'])
    assert.deepEqual(left!.loadOf(1), { pendingCallCount: 0, queuedBytes: 0 })
  })

  test('A shard that owes too many bytes of answers refuses further calls instead of running them.', async () => {
    const scheduler = new ManualScheduler()
    const limits = { batchBytesMax: 1000, batchesInFlightMax: 1, pendingBytesMax: 10_000 }
    const network = new MemoryMeshNetwork(2, { scheduler, limits })
    const [left, right] = network.meshes
    let ran = 0
    right!.serve('big', () => {
      ran++
      return new Uint8Array(900)
    })
    const codes: Promise<string>[] = []
    for (let call = 0; call < 100; call++) {
      codes.push(left!.submitTo(1, 'big', new Uint8Array(0)).then(() => 'ok', codeOf))
    }
    await scheduler.advance(100)
    const ended = await Promise.all(codes)
    assert.ok(ran < 100)
    assert.equal(ended.filter(code => code === 'ok').length, ran)
    assert.equal(ended.filter(code => code === 'OVERLOADED').length, 100 - ran)
  })

  test('However many calls wait, one timer does; none is left after close.', async () => {
    const scheduler = new ManualScheduler()
    const [left, right] = new MemoryMeshNetwork(2, { scheduler }).meshes
    right!.serve('echo', payload => payload)
    const calls = Array.from({ length: 100 }, (_, call) =>
      left!.submitTo(1, 'echo', Uint8Array.of(call), { deadlineMs: 10 + ((call * 37) % 500) })
    )
    assert.equal(scheduler.timerCount, 1)
    await scheduler.settle()
    await Promise.all(calls)
    await left!.close()
    assert.equal(scheduler.timerCount, 0)
  })
})

async function transcript(): Promise<string[]> {
  const scheduler = new ManualScheduler()
  const lines: string[] = []
  let turn = 0
  const counted: Scheduler = {
    now: () => scheduler.now(),
    after: (delayMs, task) => scheduler.after(delayMs, task),
    nextTurn: task =>
      scheduler.nextTurn(() => {
        turn++
        task()
      })
  }
  const network = new MemoryMeshNetwork(3, { scheduler: counted, limits: { batchBytesMax: 200 } })
  for (const mesh of network.meshes) {
    mesh.serve('note', (payload, from) => {
      lines.push(`turn ${turn}: ${from} -> ${mesh.shard}: ${payload.join(' ')}`)
      return payload
    })
  }
  const calls = Array.from({ length: 60 }, (_, index) =>
    network.meshes[index % 3]!.submitTo((index * 7) % 3, 'note', new Uint8Array(index % 40).fill(index))
  )
  await scheduler.settle()
  await Promise.all(calls)
  return lines
}

function codeOf(error: unknown): string {
  return error instanceof MeshError ? error.code : String(error)
}
