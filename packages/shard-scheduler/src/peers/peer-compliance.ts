/**
 * What every peer network must do, as a list of named cases for any test runner:
 *
 *     for (const { title, run } of peerCompliance(openMyWorld)) test(title, run)
 *
 * A world opens networks under numbers, lets time pass, and ends one as a crash would.
 */
import assert from 'node:assert'
import { MeshError, type MeshErrorCode } from '../errors.ts'
import type { ComplianceCase } from '../mesh/mesh-compliance.ts'
import type { MeshLimits } from '../mesh/mesh-limits.ts'
import type { PeerAddress, PeerNetwork } from './peers.ts'

/** Where networks under test live. */
export interface PeerWorld {
  /** Opens a network that knows nobody and has joined nothing. A number may be opened again after `crash`. */
  open(number: number): Promise<PeerNetwork>
  /** Where `number` listens, or would. */
  addressOf(number: number): PeerAddress
  /** Ends a network as the end of its process would. Peers learn of it sooner or later. */
  crash(number: number): Promise<void>
  /** Waits for `promise`, letting time and turns pass as long as that takes. */
  until<Result>(promise: Promise<Result>): Promise<Result>
  /** Lets `durationMs` pass. */
  pass(durationMs: number): Promise<void>
  /** Ends everything that is open. */
  close(): Promise<void>
}

/** Opens a world of networks with `limits` over the defaults. */
export type OpenPeerWorld = (limits?: Partial<MeshLimits>) => Promise<PeerWorld>

/** The suite for the networks of the worlds that `open` opens. */
export function peerCompliance(open: OpenPeerWorld): ComplianceCase[] {
  return cases.map(({ title, limits, run }) => ({
    title,
    run: async () => {
      const world = await open(limits)
      try {
        await run(world)
      } finally {
        await world.close()
      }
    }
  }))
}

interface Case {
  readonly title: string
  readonly limits?: Partial<MeshLimits>
  readonly run: (world: PeerWorld) => Promise<void>
}

const CLUSTER = 'the cluster'
const NO_BYTES: Uint8Array = new Uint8Array(0)
const never = (): Promise<Uint8Array> => new Promise(() => {})
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const bytesOf = (text: string): Uint8Array => Buffer.from(text)

function membersOf(world: PeerWorld, numbers: readonly number[]): Map<number, PeerAddress> {
  return new Map(numbers.map(number => [number, world.addressOf(number)]))
}

/** Opens `numbers` as members of one cluster and waits until all are linked. */
async function openCluster(world: PeerWorld, numbers: readonly number[]): Promise<PeerNetwork[]> {
  const peers: PeerNetwork[] = []
  for (const number of numbers) peers.push(await world.open(number))
  for (const peer of peers) enter(world, peer, numbers)
  for (const peer of peers) {
    for (const number of numbers) if (number !== peer.self) await world.until(change(peer, number, true))
  }
  return peers
}

function enter(world: PeerWorld, peer: PeerNetwork, numbers: readonly number[], cluster = CLUSTER): void {
  peer.joinCluster(cluster)
  peer.setPeers(membersOf(world, numbers))
}

/** Ends when `number` is reachable from `peer`, or is not. */
function change(peer: PeerNetwork, number: number, reachable: boolean): Promise<void> {
  if (peer.reachable.has(number) === reachable) return Promise.resolve()
  return new Promise(resolve => {
    const unsubscribe = peer.onPeerChange((other, now) => {
      if (other !== number || now !== reachable) return
      unsubscribe()
      resolve()
    })
  })
}

/** What arrives on `channel`, as "from: text". */
function listen(peer: PeerNetwork, channel: string): string[] {
  const heard: string[] = []
  peer.receive(channel, (from, message) => heard.push(`${from}: ${textOf(message)}`))
  return heard
}

async function passUntil(world: PeerWorld, happened: () => boolean): Promise<void> {
  for (let step = 0; step < 2_000 && !happened(); step++) await world.pass(5)
  assert.ok(happened(), 'it did not happen in 10 s')
}

async function rejectsWith(code: MeshErrorCode, message: RegExp, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof MeshError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    return true
  })
}

const cases: Case[] = [
  {
    title: 'Members reach each other, whoever was opened first; nobody reaches itself.',
    run: async world => {
      const peers = await openCluster(world, [2000, 7, 1001])
      assert.deepEqual(
        peers.map(peer => [...peer.reachable].sort((left, right) => left - right)),
        [
          [7, 1001],
          [1001, 2000],
          [7, 2000]
        ]
      )
      assert.equal(peers[0]!.send(2000, 'any', [NO_BYTES]), false)
      assert.equal(peers[0]!.queuedBytes(2000), 0)
    }
  },
  {
    title: 'A message arrives on its channel, its parts joined, with the number of who sent it.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const heard = listen(right!, 'words')
      const answers = listen(left!, 'words')
      assert.ok(left!.send(2, 'words', [bytesOf('a'), NO_BYTES, bytesOf('bc')]))
      assert.ok(left!.send(2, 'words', []))
      assert.ok(right!.send(1, 'words', [bytesOf('back')]))
      await passUntil(world, () => heard.length === 2 && answers.length === 1)
      assert.deepEqual([heard, answers], [['1: abc', '1: '], ['2: back']])
    }
  },
  {
    title: 'A message of a channel that nobody receives is dropped; those around it arrive.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const heard = listen(right!, 'known')
      for (const channel of ['known', 'unknown', 'known']) assert.ok(left!.send(2, channel, [bytesOf(channel)]))
      await passUntil(world, () => heard.length === 2)
      assert.deepEqual(heard, ['1: known', '1: known'])
    }
  },
  {
    title: 'Messages of a lane arrive in order and whole, whatever their size and turn.',
    limits: { batchBytesMax: 64 * 1024, batchesInFlightMax: 2 },
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const sizes = Array.from({ length: 60 }, (_, index) => (index * index * 97) % (index % 7 === 0 ? 300_000 : 3_000))
      const expected = sizes.map((size, index) => `${index} ${size}`)
      for (const lane of ['urgent', 'bulk'] as const) {
        const heard: string[] = []
        right!.receive(lane, (_, message) => {
          const body = message.subarray(1)
          assert.ok(body.every(byte => byte === message[0]))
          heard.push(`${message[0]} ${body.length}`)
        })
        for (const [index, size] of sizes.entries()) {
          const parts = [
            Uint8Array.of(index),
            new Uint8Array(size >> 1).fill(index),
            new Uint8Array(size - (size >> 1)).fill(index)
          ]
          assert.ok(left!.send(2, lane, parts, lane))
          if (index % 5 === 0) await world.pass(1)
        }
        await passUntil(world, () => heard.length === sizes.length)
        assert.deepEqual(heard, expected)
      }
    }
  },
  {
    title: 'Parts may change as soon as send has returned.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const sums: number[] = []
      right!.receive('bytes', (_, message) => sums.push(message.reduce((sum, byte) => sum + byte, 0)))
      for (const size of [10, 100_000]) {
        const part = new Uint8Array(size).fill(1)
        left!.send(2, 'bytes', [part])
        part.fill(9)
      }
      await passUntil(world, () => sums.length === 2)
      assert.deepEqual(sums, [10, 100_000])
    }
  },
  {
    title:
      'Over the bound of bulk, send says no at once, and what is urgent still goes; when it is sent, bulk is taken again.',
    limits: { bulkBytesMax: 1024 * 1024, batchBytesMax: 256 * 1024 },
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const order: string[] = []
      right!.receive('data', () => order.push('data'))
      right!.receive('beat', () => order.push('beat'))
      const data = new Uint8Array(250_000)
      let taken = 0
      while (left!.send(2, 'data', [data], 'bulk')) taken++
      assert.equal(taken, 4)
      assert.ok(left!.queuedBytes(2) >= 4 * 250_000)
      assert.ok(left!.send(2, 'beat', [bytesOf('!')]))
      await passUntil(world, () => order.length === 5)
      assert.deepEqual(order, ['beat', 'data', 'data', 'data', 'data'])
      await passUntil(world, () => left!.queuedBytes(2) === 0)
      assert.ok(left!.send(2, 'data', [data], 'bulk'))
      await passUntil(world, () => order.length === 6)
    }
  },
  {
    title: 'What is larger than the limit is refused with TOO_LARGE: a message by a throw, a call by its end.',
    limits: { payloadBytesMax: 1000 },
    run: async world => {
      const [left] = await openCluster(world, [1, 2])
      assert.equal(left!.messageBytesMax, 1000)
      const half = new Uint8Array(501)
      assert.throws(() => left!.send(2, 'any', [half, half]), { code: 'TOO_LARGE' })
      await rejectsWith('TOO_LARGE', /1001 bytes/, left!.call(2, 'any', new Uint8Array(1001)))
      await rejectsWith('TOO_LARGE', /1001 bytes/, left!.callAddress(world.addressOf(2), 'any', new Uint8Array(1001)))
    }
  },
  {
    title: 'A call runs at the peer, which learns who calls, and ends with its answer, its error, or its deadline.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      right!.serve('who', (payload, from) => bytesOf(`${from} ${textOf(payload)}`))
      right!.serve('fail', () => {
        throw new Error('no luck')
      })
      right!.serve('never', never)
      assert.equal(textOf(await world.until(left!.call(2, 'who', bytesOf('asks')))), '1 asks')
      await rejectsWith('REMOTE', /no luck/, world.until(left!.call(2, 'fail', NO_BYTES)))
      await rejectsWith('REMOTE', /no service "none"/, world.until(left!.call(2, 'none', NO_BYTES)))
      await rejectsWith(
        'DEADLINE',
        /never on peer 2/,
        world.until(left!.call(2, 'never', NO_BYTES, { deadlineMs: 50 }))
      )
      await rejectsWith('UNREACHABLE', /peer 3/, world.until(left!.call(3, 'who', NO_BYTES)))
    }
  },
  {
    title: 'Answers and payloads of calls stay as they are, whatever arrives after them.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const release = Promise.withResolvers<void>()
      right!.serve('keep', async payload => {
        await release.promise
        return payload
      })
      const calls = Array.from({ length: 20 }, (_, index) => left!.call(2, 'keep', new Uint8Array(70_000).fill(index)))
      await world.pass(50)
      for (let index = 0; index < 20; index++) left!.send(2, 'noise', [new Uint8Array(70_000).fill(99)])
      await world.pass(50)
      release.resolve()
      for (const [index, answer] of (await world.until(Promise.all(calls))).entries()) {
        assert.ok(answer.length === 70_000 && answer.every(byte => byte === index), `answer ${index}`)
      }
    }
  },
  {
    title:
      'A peer that ends takes calls under way with it; when it is back it is linked anew, without its former handlers.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      right!.serve('never', never)
      const changes: string[] = []
      left!.onPeerChange((peer, reachable) => changes.push(`${peer} ${reachable}`))
      const call = left!.call(2, 'never', NO_BYTES)
      call.catch(() => {})
      await world.pass(20)
      await world.crash(2)
      await rejectsWith('UNREACHABLE', /peer 2/, world.until(call))
      assert.equal(left!.send(2, 'any', [NO_BYTES]), false)
      await rejectsWith('UNREACHABLE', /peer 2/, left!.call(2, 'never', NO_BYTES))
      const again = await world.open(2)
      const heard = listen(again, 'words')
      enter(world, again, [1, 2])
      await world.until(change(left!, 2, true))
      assert.deepEqual(changes, ['2 false', '2 true'])
      left!.send(2, 'words', [bytesOf('anew')])
      await passUntil(world, () => heard.length === 1)
      await rejectsWith('REMOTE', /no service "never"/, world.until(left!.call(2, 'never', NO_BYTES)))
    }
  },
  {
    title: 'Through restarts under load no message arrives twice or out of order.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      const numbers: number[] = []
      const take = (_: number, message: Uint8Array): void => void numbers.push(Number(textOf(message)))
      right!.receive('count', take)
      let sent = 0
      for (let index = 0; index < 900; index++) {
        if (left!.send(2, 'count', [bytesOf(String(index))])) sent++
        if (index % 20 === 19) await world.pass(1)
        if (index % 300 !== 150) continue
        await world.crash(2)
        const again = await world.open(2)
        again.receive('count', take)
        enter(world, again, [1, 2])
        await world.until(change(left!, 2, false))
        await world.until(change(left!, 2, true))
      }
      await passUntil(world, () => numbers.at(-1) === 899)
      assert.ok(numbers.every((number, index) => index === 0 || number > numbers[index - 1]!))
      assert.ok(numbers.length > 600 && numbers.length <= sent)
    }
  },
  {
    title: 'Who is taken out of the members loses its link and gets none until it is put in again.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      left!.setPeers(membersOf(world, [1]))
      await world.until(change(right!, 1, false))
      assert.deepEqual([...left!.reachable], [])
      await world.pass(300)
      assert.deepEqual([...right!.reachable], [])
      left!.setPeers(membersOf(world, [1, 2]))
      await world.until(change(left!, 2, true))
      right!.setPeers(membersOf(world, [2]))
      await world.until(change(left!, 2, false))
      await world.pass(300)
      assert.deepEqual([...left!.reachable], [])
      right!.setPeers(membersOf(world, [1, 2]))
      await world.until(change(left!, 2, true))
      await world.until(change(right!, 1, true))
    }
  },
  {
    title: 'Members of another cluster, and nodes that have joined none, are not linked; who joins is.',
    run: async world => {
      const [one, two, three] = [await world.open(1), await world.open(2), await world.open(3)]
      enter(world, one, [1, 2, 3])
      enter(world, two, [1, 2, 3], 'another cluster')
      three.setPeers(membersOf(world, [1, 2, 3]))
      await world.pass(300)
      for (const peer of [one, two, three]) assert.equal(peer.reachable.size, 0)
      three.joinCluster(CLUSTER)
      await world.until(change(one, 3, true))
      await world.until(change(three, 1, true))
      assert.equal(two.reachable.size, 0)
    }
  },
  {
    title: 'Anybody may call an open service at an address, and no other; whoever asks is nobody.',
    run: async world => {
      const [one] = await openCluster(world, [1, 2])
      one!.serve('hello', (payload, from) => bytesOf(`${from} ${textOf(payload)}`), { open: true })
      one!.serve('secret', () => bytesOf('told'))
      const stranger = await world.open(9)
      stranger.serve('hello', () => bytesOf('here'), { open: true })
      const at = world.addressOf(1)
      assert.equal(textOf(await world.until(stranger.callAddress(at, 'hello', bytesOf('?')))), 'undefined ?')
      assert.equal(textOf(await world.until(one!.callAddress(at, 'hello', bytesOf('me')))), 'undefined me')
      assert.equal(textOf(await world.until(one!.callAddress(world.addressOf(9), 'hello', NO_BYTES))), 'here')
      await rejectsWith('REMOTE', /open service "secret"/, world.until(stranger.callAddress(at, 'secret', NO_BYTES)))
      await rejectsWith(
        'UNREACHABLE',
        /hello|nobody/,
        world.until(one!.callAddress(world.addressOf(5), 'hello', NO_BYTES))
      )
      stranger.serve('never', never, { open: true })
      const late = one!.callAddress(world.addressOf(9), 'never', NO_BYTES, { deadlineMs: 50 })
      await rejectsWith('DEADLINE', /never at/, world.until(late))
    }
  },
  {
    title:
      'After close, calls under way end with UNREACHABLE, new ones with CLOSED, and nothing is sent; twice is harmless.',
    run: async world => {
      const [left, right] = await openCluster(world, [1, 2])
      right!.serve('never', never)
      const call = left!.call(2, 'never', NO_BYTES)
      call.catch(() => {})
      await world.pass(20)
      await world.until(Promise.all([left!.close(), left!.close()]))
      await rejectsWith('UNREACHABLE', /closed/, world.until(call))
      await rejectsWith('CLOSED', /peer 1/, left!.call(2, 'never', NO_BYTES))
      await rejectsWith('CLOSED', /peer 1/, left!.callAddress(world.addressOf(2), 'never', NO_BYTES))
      assert.equal(left!.send(2, 'any', [NO_BYTES]), false)
      assert.equal(left!.reachable.size, 0)
      await world.until(change(right!, 1, false))
    }
  }
]
