/**
 * What every mesh must do, as a list of named cases for any test runner:
 *
 *     for (const { title, run } of meshCompliance(openMyMeshes)) test(title, run)
 *
 * A fixture opens meshes that reach each other, lets time pass, stops a shard as a crash would and starts it anew.
 */
import assert from 'node:assert'
import { MeshError, type MeshErrorCode } from '../errors.ts'
import type { MeshLimits } from './mesh-limits.ts'
import type { Mesh } from './mesh.ts'

/** Meshes under test. */
export interface MeshFixture {
  /** The mesh of each shard; all are linked when the fixture is handed out. */
  readonly meshes: readonly Mesh[]
  /** Waits for `promise`, letting time and turns pass as long as that takes. */
  until<Result>(promise: Promise<Result>): Promise<Result>
  /** Lets `durationMs` pass. */
  pass(durationMs: number): Promise<void>
  /** Ends shard's mesh. Peers learn of it sooner or later. */
  stop(shard: number): Promise<void>
  /** Starts a new incarnation of a stopped shard, without services. Peers link to it sooner or later. */
  start(shard: number): Promise<Mesh>
  close(): Promise<void>
}

/** Opens `shardCount` meshes with `limits` over the defaults. */
export type OpenMeshes = (shardCount: number, limits?: Partial<MeshLimits>) => Promise<MeshFixture>

/** A case of the suite. */
export interface ComplianceCase {
  readonly title: string
  readonly run: () => Promise<void>
}

/** The suite for the meshes that `open` opens. */
export function meshCompliance(open: OpenMeshes): ComplianceCase[] {
  return cases.map(({ title, shardCount, limits, run }) => ({
    title,
    run: async () => {
      const fixture = await open(shardCount ?? 2, limits)
      try {
        await run(fixture)
      } finally {
        await fixture.close()
      }
    }
  }))
}

interface Case {
  readonly title: string
  readonly shardCount?: number
  readonly limits?: Partial<MeshLimits>
  readonly run: (fixture: MeshFixture) => Promise<void>
}

const NO_BYTES: Uint8Array = new Uint8Array(0)
const never = (): Promise<Uint8Array> => new Promise(() => {})
const numberBytes = (value: number): Uint8Array => Uint8Array.of(value >> 16, value >> 8, value)
const numberOf = (bytes: Uint8Array): number => (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!

const cases: Case[] = [
  {
    title: 'Every shard reaches every shard, itself included.',
    shardCount: 3,
    run: async ({ meshes }) => {
      for (const mesh of meshes) {
        assert.equal(mesh.shardCount, 3)
        assert.deepEqual([...mesh.reachable].sort(), [0, 1, 2])
      }
    }
  },
  {
    title: 'A call runs on the called shard, which learns who calls, and its answer comes back.',
    shardCount: 3,
    run: async ({ meshes, until }) => {
      for (const mesh of meshes) mesh.serve('who', (payload, from) => Uint8Array.of(mesh.shard, from, payload[0]!))
      for (const from of meshes) {
        for (const to of meshes) {
          const answer = await until(from.submitTo(to.shard, 'who', Uint8Array.of(7)))
          assert.deepEqual([...answer], [to.shard, from.shard, 7])
        }
      }
    }
  },
  {
    title: 'A call to the own shard runs in a later turn.',
    run: async ({ meshes: [mesh], until }) => {
      let ran = false
      mesh!.serve('note', () => {
        ran = true
        return NO_BYTES
      })
      const call = mesh!.submitTo(0, 'note', NO_BYTES)
      assert.equal(ran, false)
      await Promise.resolve()
      assert.equal(ran, false, 'a promise job is not a turn')
      await until(call)
      assert.equal(ran, true)
    }
  },
  {
    title: 'Calls from one shard to one other are delivered in order, whatever their size and turn.',
    limits: { batchBytesMax: 4096, batchesInFlightMax: 2 },
    run: async ({ meshes: [left, right], until, pass }) => {
      const delivered: number[] = []
      right!.serve('take', payload => {
        delivered.push(numberOf(payload))
        return NO_BYTES
      })
      const calls: Promise<Uint8Array>[] = []
      for (let index = 0; index < 1000; index++) {
        const payload = new Uint8Array(3 + ((index * 7919) % 3000))
        payload.set(numberBytes(index))
        calls.push(left!.submitTo(1, 'take', payload))
        if (index % 100 === 99) await pass(1)
      }
      await until(Promise.all(calls))
      assert.deepEqual(
        delivered,
        Array.from({ length: 1000 }, (_, index) => index)
      )
    }
  },
  {
    title: 'Payloads and answers arrive byte for byte, from nothing to the largest allowed.',
    limits: { batchBytesMax: 64 * 1024, payloadBytesMax: 3 * 1024 * 1024 },
    run: async ({ meshes: [left, right], until }) => {
      right!.serve('turn', payload => Uint8Array.from(payload).reverse())
      for (const length of [0, 1, 127, 128, 16_384, 65_536, 1_048_577, 3 * 1024 * 1024]) {
        const payload = Buffer.alloc(length, `every byte of ${length} counts; `)
        const answer = await until(left!.submitTo(1, 'turn', payload))
        assert.equal(Buffer.compare(answer, Uint8Array.from(payload).reverse()), 0, `${length} bytes`)
      }
    }
  },
  {
    title: 'Neither side sees what the other does to its bytes afterwards.',
    run: async ({ meshes: [left, right], until }) => {
      let kept = NO_BYTES
      right!.serve('keep', payload => {
        kept = payload
        return Uint8Array.of(1, 2, 3)
      })
      const payload = Uint8Array.of(9, 9, 9)
      const answer = await until(left!.submitTo(1, 'keep', payload))
      payload.fill(0)
      assert.deepEqual([...kept], [9, 9, 9])
      kept.fill(5)
      assert.deepEqual([...payload], [0, 0, 0])
      assert.deepEqual([...answer], [1, 2, 3])
    }
  },
  {
    title: 'A slow service holds up no other call.',
    run: async ({ meshes: [left, right], until, pass }) => {
      const slow = Promise.withResolvers<Uint8Array>()
      right!.serve('slow', () => slow.promise)
      right!.serve('fast', () => Uint8Array.of(2))
      const first = left!.submitTo(1, 'slow', NO_BYTES)
      assert.deepEqual([...(await until(left!.submitTo(1, 'fast', NO_BYTES)))], [2])
      await pass(20)
      slow.resolve(Uint8Array.of(1))
      assert.deepEqual([...(await until(first))], [1])
    }
  },
  {
    title: 'invokeOnAll reaches every shard, and one failure does not stop the others.',
    shardCount: 3,
    run: async ({ meshes, until }) => {
      for (const mesh of meshes) {
        mesh.serve('report', () => {
          if (mesh.shard === 1) throw new Error('not today')
          return Uint8Array.of(mesh.shard)
        })
      }
      const results = await until(meshes[2]!.invokeOnAll('report', NO_BYTES))
      assert.deepEqual(
        results.map(result => (result.status === 'fulfilled' ? result.value[0] : codeOf(result.reason))),
        [0, 'REMOTE', 2]
      )
    }
  },
  {
    title: 'What a service throws or rejects with ends the call with REMOTE and its message.',
    run: async ({ meshes: [left, right], until }) => {
      right!.serve('throws', () => {
        throw new Error('thrown here')
      })
      right!.serve('rejects', () => Promise.reject(new Error('rejected here')))
      await rejectsWith('REMOTE', /thrown here/, until(left!.submitTo(1, 'throws', NO_BYTES)))
      await rejectsWith('REMOTE', /rejected here/, until(left!.submitTo(1, 'rejects', NO_BYTES)))
    }
  },
  {
    title: 'A service that the shard does not have ends the call with REMOTE and names it.',
    run: async ({ meshes: [left], until }) => {
      await rejectsWith('REMOTE', /no service "missing"/, until(left!.submitTo(1, 'missing', NO_BYTES)))
      await rejectsWith('REMOTE', /no service "missing"/, until(left!.submitTo(0, 'missing', NO_BYTES)))
    }
  },
  {
    title: 'A call without an answer ends with DEADLINE, not before its time, and a late answer is ignored.',
    run: async ({ meshes: [left, right], until, pass }) => {
      const late = Promise.withResolvers<Uint8Array>()
      right!.serve('late', () => late.promise)
      let ended = false
      const call = left!.submitTo(1, 'late', NO_BYTES, { deadlineMs: 1_000 }).finally(() => (ended = true))
      call.catch(() => {})
      await pass(100)
      assert.equal(ended, false)
      await rejectsWith('DEADLINE', /late on shard 1/, until(call))
      late.resolve(Uint8Array.of(1))
      await pass(20)
      right!.serve('still', () => Uint8Array.of(3))
      assert.deepEqual([...(await until(left!.submitTo(1, 'still', NO_BYTES)))], [3])
    }
  },
  {
    title: 'Over the bound of calls under way, a call ends with OVERLOADED at once and never runs.',
    limits: { pendingCallCountMax: 8 },
    run: async ({ meshes: [left, right], until, pass }) => {
      let ran = 0
      const release = Promise.withResolvers<Uint8Array>()
      right!.serve('hold', () => {
        ran++
        return release.promise
      })
      const calls = Array.from({ length: 8 }, () => left!.submitTo(1, 'hold', NO_BYTES))
      await rejectsWith('OVERLOADED', /8 calls/, left!.submitTo(1, 'hold', NO_BYTES))
      await pass(50)
      await rejectsWith('OVERLOADED', /8 calls/, left!.submitTo(1, 'hold', NO_BYTES))
      release.resolve(NO_BYTES)
      await until(Promise.all(calls))
      assert.equal(ran, 8)
      await until(left!.submitTo(1, 'hold', NO_BYTES))
    }
  },
  {
    title:
      'Over the bound of bytes that wait, a call ends with OVERLOADED at once; when they are sent, calls are taken again.',
    limits: { pendingBytesMax: 1024 * 1024 },
    run: async ({ meshes: [left, right], until }) => {
      right!.serve('size', payload => numberBytes(payload.length))
      const payload = new Uint8Array(200 * 1024)
      const calls = Array.from({ length: 5 }, () => left!.submitTo(1, 'size', payload))
      await rejectsWith('OVERLOADED', /bytes wait/, left!.submitTo(1, 'size', payload))
      for (const answer of await until(Promise.all(calls))) assert.equal(numberOf(answer), 200 * 1024)
      assert.equal(numberOf(await until(left!.submitTo(1, 'size', payload))), 200 * 1024)
    }
  },
  {
    title: 'Payloads over the limit are refused: a call with TOO_LARGE, an answer with REMOTE.',
    limits: { payloadBytesMax: 1000 },
    run: async ({ meshes: [left, right], until }) => {
      right!.serve('grow', payload => new Uint8Array(payload.length + 1))
      await rejectsWith('TOO_LARGE', /1001 bytes/, left!.submitTo(1, 'grow', new Uint8Array(1001)))
      await rejectsWith('REMOTE', /1001 bytes/, until(left!.submitTo(1, 'grow', new Uint8Array(1000))))
      assert.equal((await until(left!.submitTo(1, 'grow', new Uint8Array(999)))).length, 1000)
    }
  },
  {
    title: 'A shard that goes takes the calls under way with it: UNREACHABLE for them, and at once for new ones.',
    run: async ({ meshes: [left, right], until, pass, stop }) => {
      right!.serve('never', never)
      const call = left!.submitTo(1, 'never', NO_BYTES)
      call.catch(() => {})
      await pass(20)
      await stop(1)
      await rejectsWith('UNREACHABLE', /shard 1/, until(call))
      assert.deepEqual([...left!.reachable], [0])
      await rejectsWith('UNREACHABLE', /shard 1/, left!.submitTo(1, 'never', NO_BYTES))
    }
  },
  {
    title: 'A shard that comes back is reached again, without the services of its former self; listeners hear both.',
    run: async ({ meshes: [left, right], until, stop, start }) => {
      const changes: string[] = []
      right!.serve('old', () => NO_BYTES)
      const back = Promise.withResolvers<void>()
      const unsubscribe = left!.onPeerChange((shard, reachable) => {
        changes.push(`${shard} ${reachable}`)
        if (reachable) back.resolve()
      })
      await stop(1)
      const again = await start(1)
      again.serve('new', () => Uint8Array.of(4))
      await until(back.promise)
      assert.deepEqual(changes, ['1 false', '1 true'])
      assert.deepEqual([...(await until(left!.submitTo(1, 'new', NO_BYTES)))], [4])
      await rejectsWith('REMOTE', /no service "old"/, until(left!.submitTo(1, 'old', NO_BYTES)))
      unsubscribe()
      await stop(1)
      await rejectsWith('UNREACHABLE', /shard 1/, until(left!.submitTo(1, 'new', NO_BYTES)))
      assert.equal(changes.length, 2)
    }
  },
  {
    title: 'Through restarts under load every call ends once, and none runs twice.',
    limits: { deadlineMs: 20_000 },
    run: async ({ meshes: [left, right], until, pass, stop, start }) => {
      const runs = new Map<number, number>()
      const count = (payload: Uint8Array): Uint8Array => {
        const id = numberOf(payload)
        runs.set(id, (runs.get(id) ?? 0) + 1)
        return payload
      }
      right!.serve('count', count)
      const outcomes: Promise<string>[] = []
      const submit = (id: number): void => {
        const call = left!.submitTo(1, 'count', numberBytes(id))
        outcomes.push(call.then(answer => (numberOf(answer) === id ? 'ok' : 'mixed up'), codeOf))
      }
      for (let id = 0; id < 600; id++) {
        submit(id)
        if (id % 20 === 19) await pass(1)
        if (id % 200 === 150) {
          await stop(1)
          const back = new Promise<void>(resolve => left!.onPeerChange((_, reachable) => reachable && resolve()))
          ;(await start(1)).serve('count', count)
          await until(back)
        }
      }
      const ended = await until(Promise.all(outcomes))
      assert.deepEqual(
        [...runs.values()].filter(count => count !== 1),
        []
      )
      for (const [id, outcome] of ended.entries()) {
        assert.ok(outcome === 'ok' || outcome === 'UNREACHABLE', outcome)
        if (outcome === 'ok') assert.equal(runs.get(id), 1)
      }
      assert.ok(ended.filter(outcome => outcome === 'ok').length > 400)
    }
  },
  {
    title: 'After close, calls under way end with UNREACHABLE and new ones with CLOSED; closing twice is harmless.',
    run: async ({ meshes: [left, right], until, pass }) => {
      right!.serve('never', never)
      left!.serve('never', never)
      const calls = [left!.submitTo(1, 'never', NO_BYTES), left!.submitTo(0, 'never', NO_BYTES)]
      for (const call of calls) call.catch(() => {})
      await pass(20)
      await until(Promise.all([left!.close(), left!.close()]))
      for (const call of calls) await rejectsWith('UNREACHABLE', /closed/, until(call))
      await rejectsWith('CLOSED', /shard 0/, left!.submitTo(1, 'never', NO_BYTES))
      assert.equal(left!.reachable.size, 0)
    }
  }
]

function codeOf(error: unknown): string {
  return error instanceof MeshError ? error.code : String(error)
}

async function rejectsWith(code: MeshErrorCode, message: RegExp, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}
