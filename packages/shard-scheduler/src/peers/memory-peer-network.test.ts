import assert from 'node:assert'
import { describe, test } from 'vitest'
import { ManualScheduler } from '../scheduler/manual-scheduler.ts'
import { MemoryPeerNetwork, type MemoryPeerNetworkOptions } from './memory-peer-network.ts'
import type { PeerAddress, PeerNetwork } from './peers.ts'

const addressOf = (number: number): PeerAddress => ({ host: 'node', port: number })

interface World {
  readonly scheduler: ManualScheduler
  readonly network: MemoryPeerNetwork
  readonly peers: Map<number, PeerNetwork>
  /** What arrived, as "from>to text". */
  readonly heard: string[]
  open(number: number): PeerNetwork
}

/** Nodes of one cluster that know each other, linked. */
async function worldOf(numbers: readonly number[], options: MemoryPeerNetworkOptions = {}): Promise<World> {
  const scheduler = new ManualScheduler()
  const network = new MemoryPeerNetwork({ scheduler, overwriteHandled: true, ...options })
  const heard: string[] = []
  const peers = new Map<number, PeerNetwork>()
  const open = (number: number): PeerNetwork => {
    const peer = network.open({ self: number, listen: addressOf(number) })
    peer.receive('note', (from, message) => heard.push(`${from}>${number} ${Buffer.from(message).toString()}`))
    peer.joinCluster('one')
    peer.setPeers(new Map(numbers.map(other => [other, addressOf(other)])))
    peers.set(number, peer)
    return peer
  }
  for (const number of numbers) open(number)
  await scheduler.advance(50)
  return { scheduler, network, peers, heard, open }
}

function note(peer: PeerNetwork | undefined, to: number, text: string): boolean {
  return peer!.send(to, 'note', [Buffer.from(text)])
}

describe('peers in memory', () => {
  test('A one-way cut holds messages of that way back; healed in time, they arrive in order.', async () => {
    const { scheduler, network, peers, heard } = await worldOf([1, 2])
    network.cutOneWay(1, 2)
    for (const text of ['a', 'b', 'c']) assert.ok(note(peers.get(1), 2, text))
    assert.ok(note(peers.get(2), 1, 'back'))
    await scheduler.advance(2_000)
    assert.deepEqual(heard, ['2>1 back'])
    network.heal(1, 2)
    await scheduler.advance(1)
    assert.deepEqual(heard, ['2>1 back', '1>2 a', '1>2 b', '1>2 c'])
    await scheduler.advance(10_000)
    assert.deepEqual([...peers.get(1)!.reachable], [2])
  })

  test('A cut that lasts ends the link on both sides, loses what was under way, and heals by itself.', async () => {
    for (const cut of ['cut', 'cutOneWay'] as const) {
      const { scheduler, network, peers, heard } = await worldOf([1, 2])
      const changes: string[] = []
      for (const [number, peer] of peers) {
        peer.onPeerChange((other, reachable) => changes.push(`${number}: ${other} ${reachable}`))
      }
      network[cut](1, 2)
      note(peers.get(1), 2, 'lost')
      await scheduler.advance(2_999)
      assert.deepEqual(changes, [])
      await scheduler.advance(2)
      assert.deepEqual(changes, ['1: 2 false', '2: 1 false'])
      assert.equal(note(peers.get(1), 2, 'refused'), false)
      await scheduler.advance(10_000)
      assert.equal(changes.length, 2)
      network.heal()
      await scheduler.advance(20)
      assert.deepEqual(changes.slice(2), ['1: 2 true', '2: 1 true'])
      note(peers.get(1), 2, 'anew')
      await scheduler.advance(1)
      assert.deepEqual(heard, ['1>2 anew'])
    }
  })

  test('A cut, healed, and cut again is given up by the second cut, not by the first.', async () => {
    const { scheduler, network, peers } = await worldOf([1, 2])
    network.cut(1, 2)
    await scheduler.advance(2_000)
    network.heal()
    network.cut(1, 2)
    await scheduler.advance(2_000)
    assert.deepEqual([...peers.get(1)!.reachable], [2])
    await scheduler.advance(1_100)
    assert.deepEqual([...peers.get(1)!.reachable], [])
  })

  test('A process that ends is noticed at once, a machine that goes silent after a while.', async () => {
    const { scheduler, network, peers, open } = await worldOf([1, 2, 3], { path: { latencyMs: 2 } })
    network.crash(1)
    await scheduler.advance(3)
    assert.deepEqual([...peers.get(2)!.reachable], [3])
    open(1)
    await scheduler.advance(50)
    assert.deepEqual([...peers.get(2)!.reachable].sort(), [1, 3])
    network.powerOff(1)
    await scheduler.advance(2_900)
    assert.deepEqual([...peers.get(2)!.reachable].sort(), [1, 3])
    await scheduler.advance(200)
    assert.deepEqual([...peers.get(2)!.reachable], [3])
  })

  test('A process that ended neither hears nor says anything, whatever its code still does.', async () => {
    const { scheduler, network, peers, heard } = await worldOf([1, 2])
    const gone = peers.get(1)!
    const changes: boolean[] = []
    gone.onPeerChange((_, reachable) => changes.push(reachable))
    network.powerOff(1)
    note(gone, 2, 'from the dead')
    note(peers.get(2), 1, 'to the dead')
    await scheduler.advance(10_000)
    assert.deepEqual([heard, changes], [[], []])
  })

  test('A machine that is back before its silence was noticed replaces its former link.', async () => {
    const { scheduler, network, peers, heard, open } = await worldOf([1, 2])
    const changes: boolean[] = []
    peers.get(2)!.onPeerChange((_, reachable) => changes.push(reachable))
    network.powerOff(1)
    await scheduler.advance(100)
    open(1)
    await scheduler.advance(100)
    assert.deepEqual(changes, [false, true])
    note(peers.get(2), 1, 'welcome')
    await scheduler.advance(10_000)
    assert.deepEqual(heard, ['2>1 welcome'])
    assert.deepEqual(changes, [false, true])
  })

  test('An isolated node reaches nobody, the others reach each other; healing it is enough.', async () => {
    const { scheduler, network, peers } = await worldOf([1, 2, 3])
    network.isolate(2)
    await scheduler.advance(4_000)
    assert.deepEqual([...peers.get(2)!.reachable], [])
    assert.deepEqual([...peers.get(1)!.reachable], [3])
    network.heal(2)
    await scheduler.advance(50)
    assert.deepEqual([...peers.get(2)!.reachable].sort(), [1, 3])
  })

  test('Latency, jitter and width delay messages and keep their order.', async () => {
    const path = { latencyMs: 5, jitterMs: 20, bytesPerSecond: 100_000 }
    const { scheduler, peers, heard } = await worldOf([1, 2], { path, random: seeded(7) })
    for (let index = 0; index < 20; index++) {
      note(peers.get(1), 2, String(index))
      await scheduler.advance(1)
    }
    await scheduler.advance(100)
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, index) => `1>2 ${index}`)
    )
    peers.get(1)!.send(2, 'note', [Buffer.alloc(50_000)], 'bulk')
    await scheduler.advance(400)
    assert.equal(heard.length, 20)
    assert.ok(peers.get(1)!.queuedBytes(2) >= 50_000)
    await scheduler.advance(200)
    assert.equal(heard.length, 21)
    assert.equal(peers.get(1)!.queuedBytes(2), 0)
  })

  test('Losing, repeating and reordering happen only when asked for, by the shares asked for.', async () => {
    const path = { lose: 0.2, repeat: 0.2, reorder: 0.2 }
    const { scheduler, network, peers, heard } = await worldOf([1, 2], { path, random: seeded(11) })
    const send = async (): Promise<string[]> => {
      heard.length = 0
      for (let index = 0; index < 500; index++) {
        note(peers.get(1), 2, String(index).padStart(3, '0'))
        await scheduler.advance(1)
      }
      await scheduler.advance(100)
      return [...heard]
    }
    const worse = await send()
    const distinct = new Set(worse)
    assert.ok(distinct.size > 370 && distinct.size < 430, `${distinct.size} of 500 arrived`)
    assert.ok(worse.length - distinct.size > 50, 'some arrived twice')
    assert.notDeepEqual(worse, [...worse].sort())
    network.setPath({ lose: 0, repeat: 0, reorder: 0 })
    const ideal = await send()
    assert.equal(ideal.length, 500)
    assert.deepEqual(ideal, [...ideal].sort())
  })

  test('Two runs with the same seed hear the same at the same times.', async () => {
    const run = async (seed: number): Promise<string[]> => {
      const path = { latencyMs: 1, jitterMs: 4, lose: 0.1, repeat: 0.1, reorder: 0.1, hiccup: 0.1 }
      const { scheduler, network, peers, heard } = await worldOf([1, 2, 3], { path, random: seeded(seed) })
      for (let index = 0; index < 200; index++) {
        note(peers.get((index % 3) + 1), ((index + 1) % 3) + 1, `${index} at ${scheduler.now()}`)
        if (index === 50) network.cut(1, 2)
        if (index === 100) network.heal()
        await scheduler.advance(index % 5)
      }
      await scheduler.advance(1_000)
      return [...heard]
    }
    assert.deepEqual(await run(3), await run(3))
    assert.notDeepEqual(await run(3), await run(4))
  })

  test('Memory of a message that a handler keeps is overwritten where that is asked for.', async () => {
    const { scheduler, peers } = await worldOf([1, 2])
    let kept: Uint8Array | undefined
    peers.get(2)!.receive('kept', (_, message) => (kept = message))
    peers.get(1)!.send(2, 'kept', [Uint8Array.of(1, 2), Uint8Array.of(3)])
    await scheduler.advance(1)
    assert.deepEqual([...kept!], [0xdb, 0xdb, 0xdb])
  })
})

/** A small generator (mulberry32), so that runs repeat. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
