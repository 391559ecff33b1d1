import { MemoryPeerNetwork, type PeerAddress, type PeerNetwork } from '@milena/shard-scheduler'
import { ManualScheduler } from '@milena/shard-scheduler/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JoinAnswer, JoinRequest } from '../../controller/messages.ts'
import type { Membership } from '../../node/data-folder.ts'
import { serveDiscovery, serveJoining, type NodeCandidate } from './discovery.ts'
import { FormationError, formOrJoin, textOf } from './formation.ts'

/** When a node dies while it comes into a cluster. */
type CrashPoint = 'before save' | 'after save' | 'when a member'

/** A world of nodes that form clusters; members answer as shard 0 of a running broker does. */
class World {
  readonly scheduler = new ManualScheduler()
  readonly network = new MemoryPeerNetwork({ scheduler: this.scheduler })
  readonly nodes: Node[] = []
  /** Members by cluster id, as its controller has them. */
  readonly clusters = new Map<string, Map<number, NodeCandidate>>()
  formed = 0

  addNode(options: { seeds?: readonly PeerAddress[]; nodeId?: number; address?: PeerAddress } = {}): Node {
    const node = new Node(this, this.nodes.length, options)
    this.nodes.push(node)
    return node
  }

  join(clusterId: string, { node, nodeId }: JoinRequest): JoinAnswer {
    const members = this.clusters.get(clusterId)
    if (members === undefined) throw new Error(`no cluster ${clusterId}`)
    const known = [...members].find(([, { instance }]) => instance === node.instance)?.[0]
    const id = known ?? nodeId ?? Math.max(...members.keys()) + 1
    if (known === undefined && members.has(id)) return { kind: 'refused', reason: `node.id ${id} is another's` }
    members.set(id, node)
    return { kind: 'joined', clusterId, nodeId: id, nodes: [...members].map(([nodeId, one]) => ({ ...one, nodeId })) }
  }
}

const addressOf = (place: number): PeerAddress => ({ host: `node-${place}`, port: 33_145 })
const threeSeeds = [addressOf(0), addressOf(1), addressOf(2)]

class Node {
  readonly address: PeerAddress
  membership: Membership | undefined
  failure: unknown
  crashAt: CrashPoint | undefined
  readonly #world: World
  readonly #place: number
  readonly #seeds: readonly PeerAddress[]
  readonly #nodeId: number | undefined
  #disk = 0
  #life = 0
  #peers: PeerNetwork | undefined

  constructor(world: World, place: number, options: { seeds?: readonly PeerAddress[]; nodeId?: number }) {
    this.#world = world
    this.#place = place
    this.address = addressOf(place)
    this.#seeds = options.seeds ?? threeSeeds
    this.#nodeId = options.nodeId
  }

  get isUp(): boolean {
    return this.#peers !== undefined
  }

  get candidate(): NodeCandidate {
    const instance = `disk-${this.#place}.${this.#disk}`
    return { instance, shardCount: 2, rack: '', rpc: this.address, listeners: [] }
  }

  start(): void {
    const life = ++this.#life
    const peers = this.#world.network.open({ self: 1000 * this.#place, listen: this.address })
    this.#peers = peers
    if (this.membership !== undefined) return this.#serve(peers)
    const lives = (): boolean => this.#life === life
    formOrJoin({
      node: this.candidate,
      nodeId: this.#nodeId,
      seeds: this.#seeds,
      peers,
      newClusterId: () => `cluster-${++this.#world.formed}`,
      save: membership => this.#save(membership, lives),
      clock: {
        monotonic: () => this.#world.scheduler.now(),
        after: (ms, task) => this.#world.scheduler.after(ms, task)
      },
      log: { info: () => undefined, warn: () => undefined }
    }).then(
      () => {
        if (!lives()) return
        this.#world.network.crash(1000 * this.#place)
        this.#peers = this.#world.network.open({ self: 1000 * this.#place, listen: this.address })
        this.#serve(this.#peers)
      },
      (error: unknown) => {
        if (lives()) this.failure = error
      }
    )
  }

  crash(): void {
    if (this.#peers === undefined) return
    this.#life++
    this.#peers = undefined
    this.#world.network.crash(1000 * this.#place)
  }

  /** The disk is lost as well. */
  wipe(): void {
    this.crash()
    this.#disk++
    this.membership = undefined
  }

  #save(membership: Membership, lives: () => boolean): Promise<void> | void {
    if (!lives()) return new Promise(() => undefined)
    if (this.#crashes('before save')) return new Promise(() => undefined)
    this.membership = membership
    const members = this.#world.clusters.get(membership.clusterId)
    if (members === undefined) {
      this.#world.clusters.set(membership.clusterId, new Map(membership.founders.map(one => [one.nodeId, one])))
    }
    if (this.#crashes('after save')) return new Promise(() => undefined)
  }

  #crashes(point: CrashPoint): boolean {
    if (this.crashAt !== point) return false
    this.crashAt = undefined
    this.crash()
    return true
  }

  #serve(peers: PeerNetwork): void {
    const { membership } = this
    if (membership === undefined) throw new Error('not a member')
    serveDiscovery(peers, () => ({
      node: this.candidate,
      nodeId: membership.nodeId,
      seeds: this.#seeds.map(textOf),
      membership
    }))
    serveJoining(peers, request => Promise.resolve(this.#world.join(membership.clusterId, request)))
    this.#crashes('when a member')
  }
}

const idsOf = (world: World): (number | undefined)[] => world.nodes.map(node => node.membership?.nodeId)
const clustersOf = (world: World): string[] => [...new Set(world.nodes.flatMap(n => n.membership?.clusterId ?? []))]

describe('nodes with seeds', () => {
  it('form one cluster, numbered as in the list, when all of them are there and not before', async () => {
    const world = new World()
    const [first, second, third] = [world.addNode(), world.addNode(), world.addNode()]
    first.start()
    third.start()
    await world.scheduler.advance(60_000)
    expect(clustersOf(world)).toEqual([])
    second.start()
    await world.scheduler.advance(5_000)
    expect(idsOf(world)).toEqual([0, 1, 2])
    expect(clustersOf(world)).toEqual(['cluster-1'])
    expect(third.membership?.founders.map(({ nodeId, instance }) => [nodeId, instance])).toEqual([
      [0, 'disk-0.0'],
      [1, 'disk-1.0'],
      [2, 'disk-2.0']
    ])
  })

  it('keep the numbers that they were given', async () => {
    const world = new World()
    for (const nodeId of [7, undefined, 5]) world.addNode(nodeId === undefined ? {} : { nodeId }).start()
    await world.scheduler.advance(5_000)
    expect(idsOf(world)).toEqual([7, 1, 5])
  })

  it('join when they are not in the list, whenever they come', async () => {
    const world = new World()
    const late = world.nodes
    for (let i = 0; i < 5; i++) world.addNode()
    late[3]?.start()
    await world.scheduler.advance(5_000)
    for (const place of [0, 1, 2, 4]) late[place]?.start()
    await world.scheduler.advance(10_000)
    expect(clustersOf(world)).toHaveLength(1)
    expect(new Set(idsOf(world))).toEqual(new Set([0, 1, 2, 3, 4]))
  })

  it('wait while their lists differ', async () => {
    const world = new World()
    world.addNode({ seeds: [addressOf(0), addressOf(1)] }).start()
    world.addNode({ seeds: [addressOf(1), addressOf(0)] }).start()
    await world.scheduler.advance(60_000)
    expect(clustersOf(world)).toEqual([])
  })

  it('refuse two addresses of one node, and two nodes with one number', async () => {
    const twice = new World()
    twice.addNode({ seeds: [addressOf(0), addressOf(0)] }).start()
    await twice.scheduler.advance(5_000)
    expect(twice.nodes[0]?.failure).toBeInstanceOf(FormationError)

    const same = new World()
    for (let i = 0; i < 3; i++) same.addNode({ nodeId: 4 }).start()
    await same.scheduler.advance(5_000)
    expect(same.nodes[0]?.failure).toMatchObject({ message: expect.stringMatching(/both have node.id 4/) as string })
  })

  it('come back under another number when their disk is lost, and never form a second cluster', async () => {
    const world = new World()
    for (let i = 0; i < 3; i++) world.addNode().start()
    await world.scheduler.advance(5_000)
    const [first] = world.nodes
    first?.wipe()
    first?.start()
    await world.scheduler.advance(5_000)
    expect(idsOf(world)).toEqual([3, 1, 2])
    expect(clustersOf(world)).toEqual(['cluster-1'])
  })

  it('are refused with the reason when they insist on the number of another disk', async () => {
    const world = new World()
    for (let i = 0; i < 3; i++) world.addNode({ nodeId: i }).start()
    await world.scheduler.advance(5_000)
    world.nodes[1]?.wipe()
    world.nodes[1]?.start()
    await world.scheduler.advance(5_000)
    expect(world.nodes[1]?.failure).toMatchObject({ code: 'FORMATION' })
    expect(String(world.nodes[1]?.failure)).toContain("node.id 1 is another's")
  })

  it('refuse seeds of different clusters', async () => {
    const world = new World()
    world.addNode({ seeds: [addressOf(0)] }).start()
    world.addNode({ seeds: [addressOf(1)] }).start()
    await world.scheduler.advance(5_000)
    world.addNode({ seeds: [addressOf(0), addressOf(1)] }).start()
    await world.scheduler.advance(5_000)
    expect(String(world.nodes[2]?.failure)).toContain('different clusters')
  })
})

describe('whatever crashes, and cut links', () => {
  const anyEvent = fc.oneof(
    fc.record({ kind: fc.constant('start' as const), node: fc.nat(3) }),
    fc.record({ kind: fc.constant('crash' as const), node: fc.nat(3) }),
    fc.record({
      kind: fc.constant('crash at' as const),
      node: fc.nat(3),
      point: fc.constantFrom<CrashPoint>('before save', 'after save', 'when a member')
    }),
    fc.record({ kind: fc.constant('cut' as const), node: fc.nat(3), other: fc.nat(3) }),
    fc.record({ kind: fc.constant('heal' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3_000 }) })
  )

  it('there is one cluster in the end, everybody is in it, and no number is given twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { maxLength: 30 }), async events => {
        const world = new World()
        for (let i = 0; i < 4; i++) world.addNode()
        const saved = new Set<string>()
        const look = (): void => clustersOf(world).forEach(clusterId => saved.add(clusterId))
        for (const event of events) {
          const node = 'node' in event ? world.nodes[event.node] : undefined
          if (event.kind === 'start' && node?.isUp === false) node.start()
          if (event.kind === 'crash') node?.crash()
          if (event.kind === 'crash at' && node !== undefined) node.crashAt = event.point
          if (event.kind === 'cut' && event.node !== event.other) {
            world.network.cut(1000 * event.node, 1000 * event.other)
          }
          if (event.kind === 'heal') world.network.heal()
          await world.scheduler.advance(event.kind === 'wait' ? event.ms : 20)
          look()
        }
        world.network.heal()
        for (let round = 0; round < 3; round++) {
          for (const node of world.nodes) if (!node.isUp) node.start()
          await world.scheduler.advance(30_000)
          look()
        }
        expect(world.nodes.map(node => node.failure)).toEqual([undefined, undefined, undefined, undefined])
        expect([...saved]).toHaveLength(1)
        expect(clustersOf(world)).toEqual([...saved])
        expect(new Set(idsOf(world)).size).toBe(4)
        expect(idsOf(world).slice(0, 3)).toEqual([0, 1, 2])
      }),
      { numRuns: 150 }
    )
  })
})
