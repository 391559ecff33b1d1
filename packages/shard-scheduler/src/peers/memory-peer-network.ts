/**
 * Peers inside one process: for tests, the simulator and embedded clusters. Same core as `GrpcPeerNetwork`, so the same promises,
 * bounds and errors; only links are queues instead of sockets. Deterministic: given a `Scheduler` and a random source that are,
 * two runs deliver the same frames in the same order at the same times.
 *
 * `MemoryPeerNetwork` is the cable cupboard. Every node that `open` plugs in links up with those that know it and that it knows,
 * under the same cluster, by itself. Faults are those of machines and wires, and are noticed as TCP notices them:
 *
 *     crash          the process ends, its kernel says so: peers learn after the path's latency
 *     powerOff       nobody says so: peers learn after `detectMs`
 *     cut, cutOneWay nothing passes (one way); held back, as TCP does. After `detectMs` both sides lose the link, whichever way it
 *                    was cut; healed before that, everything arrives late and in order
 *     disconnect     the connection is reset: both sides learn, and link anew after `redialMs`
 *     setPath        latency, jitter, width, hiccups, and what no TCP does
 */
import assert from 'node:assert'
import { MeshError } from '../errors.ts'
import type { Frame } from '../frames/frames.ts'
import type { MeshLimits } from '../mesh/mesh-limits.ts'
import { realScheduler } from '../scheduler/real-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { keyOf, MemoryConnection, MemoryNode, sameAddress } from './memory-node.ts'
import { idealPath, MemoryWire, noRandom, type MemoryPath } from './memory-wire.ts'
import { PeerCore } from './peer-core.ts'
import { SILENCE_MAX_MS, type PeerAddress, type PeerNetwork } from './peers.ts'

/** Settings of a network in memory. */
export interface MemoryPeerNetworkOptions {
  /** Time and turns of wires and nodes (default Node's loop). */
  readonly scheduler?: Scheduler
  /** Evenly distributed in [0, 1); needed for jitter and for everything that happens by chance. */
  readonly random?: () => number
  /** What all paths are like, where `setPath` says nothing else (default `idealPath`). */
  readonly path?: Partial<MemoryPath>
  /** Bounds of all nodes (default `defaultPeerLimits`). */
  readonly limits?: Partial<MeshLimits>
  /** When a link on which nothing passes is given up, milliseconds (default `SILENCE_MAX_MS`). */
  readonly detectMs?: number
  /** From the moment at which two nodes could be linked to their link, milliseconds (default 10). */
  readonly redialMs?: number
  /**
   * A message's memory is overwritten when its handler has returned, so that whoever keeps it without copying is found out
   * (default false).
   */
  readonly overwriteHandled?: boolean
}

/** Settings of one node. */
export interface MemoryPeerOptions {
  /** This shard's number. */
  readonly self: number
  /** Where others find it. */
  readonly listen: PeerAddress
  /** Time and turns of this node (default the network's): what arrives is delivered by it. */
  readonly scheduler?: Scheduler
}

const OVERWRITTEN = 0xdb

export class MemoryPeerNetwork {
  readonly #options: Required<MemoryPeerNetworkOptions>
  readonly #nodes = new Map<number, MemoryNode>()
  /** Every connection by its pair, also one whose far end is gone and that nobody has noticed yet. */
  readonly #connections = new Map<string, MemoryConnection>()
  readonly #dialing = new Set<string>()
  readonly #blocked = new Set<string>()
  readonly #paths = new Map<string, MemoryPath>()
  #defaultPath: MemoryPath

  constructor(options: MemoryPeerNetworkOptions = {}) {
    this.#options = {
      scheduler: realScheduler,
      random: noRandom,
      path: {},
      limits: {},
      detectMs: SILENCE_MAX_MS,
      redialMs: 10,
      overwriteHandled: false,
      ...options
    }
    this.#defaultPath = { ...idealPath, ...options.path }
  }

  /** Plugs a node in. A number and an address belong to one node at a time; after `close`, `crash` or `powerOff` they are free. */
  open(options: MemoryPeerOptions): PeerNetwork {
    const { self, listen } = options
    assert(!this.#nodes.has(self), `peer ${self} is open already`)
    for (const node of this.#nodes.values()) assert(!sameAddress(node.listen, listen), `${keyOf(listen)} is in use`)
    const scheduler = options.scheduler ?? this.#options.scheduler
    const core = new PeerCore(self, scheduler, this.#options.limits)
    const node = new MemoryNode(core, listen, scheduler, this)
    core.useTransport(node)
    this.#nodes.set(self, node)
    return core
  }

  /** The process of `number` ends here and now: it hears nothing any more; its peers see the connections end. */
  crash(number: number): void {
    const node = this.#unplug(number)
    for (const connection of this.#connectionsOf(node)) {
      const { latencyMs } = this.#path(number, connection.other(node).number)
      this.#after(latencyMs, () => this.#break(connection, `the process of peer ${number} ended`))
    }
  }

  /** The machine of `number` is gone without a word: its peers find out by its silence. */
  powerOff(number: number): void {
    const node = this.#unplug(number)
    for (const connection of this.#connectionsOf(node)) {
      this.#after(this.#options.detectMs, () => this.#break(connection, `peer ${number} is silent`))
    }
  }

  /** Nothing passes between two nodes, either way, until `heal`. */
  cut(left: number, right: number): void {
    this.cutOneWay(left, right)
    this.cutOneWay(right, left)
  }

  /** Nothing passes from `from` to `to` until `heal`; the other direction works while the link lasts. */
  cutOneWay(from: number, to: number): void {
    const way = wayOf(from, to)
    if (this.#blocked.has(way)) return
    this.#blocked.add(way)
    const connection = this.#connections.get(pairOf(from, to))
    if (connection !== undefined) this.#giveUpLater(connection)
  }

  /** Nothing passes between `number` and any other node that is open, either way, until `heal`: also a process that is stopped. */
  isolate(number: number): void {
    for (const other of this.#nodes.keys()) if (other !== number) this.cut(number, other)
  }

  /** Ends cuts: all, those of one node, or those between two. */
  heal(left?: number, right?: number): void {
    for (const way of [...this.#blocked]) {
      const ends = way.split('>').map(Number)
      if ([left, right].every(number => number === undefined || ends.includes(number))) this.#blocked.delete(way)
    }
    for (const connection of [...this.#connections.values()]) {
      if (!this.#isCut(connection.low.number, connection.high.number)) connection.giveUpMs = Infinity
      connection.release()
    }
    this.#linkAll()
  }

  /** Resets the connection of two nodes: what is under way is lost, both sides learn of it and link anew. */
  disconnect(left: number, right: number): void {
    const connection = this.#connections.get(pairOf(left, right))
    if (connection !== undefined) this.#break(connection, 'the connection was reset')
  }

  /** Changes what all paths are like, or one direction of one pair, on top of what it was. */
  setPath(path: Partial<MemoryPath>, from?: number, to?: number): void {
    if (from === undefined || to === undefined) this.#defaultPath = { ...this.#defaultPath, ...path }
    else this.#paths.set(wayOf(from, to), { ...this.#path(from, to), ...path })
  }

  /** All paths are again as they were at first. */
  resetPaths(): void {
    this.#paths.clear()
    this.#defaultPath = { ...idealPath, ...this.#options.path }
  }

  /** For nodes: whom `node` knows changed. */
  membersChanged(node: MemoryNode): void {
    for (const connection of this.#connectionsOf(node)) {
      const other = connection.other(node)
      const stays = connection.low === node ? node.knows(other) : node.admits(other)
      if (!stays) this.#break(connection, `peer ${other.number} is known elsewhere now`)
    }
    this.#linkAll()
  }

  /** For nodes: `node` was closed. */
  closed(node: MemoryNode): void {
    if (this.#nodes.get(node.number) === node) this.#nodes.delete(node.number)
  }

  /** For nodes: see `PeerNetwork.callAddress`. */
  callAddress(node: MemoryNode, address: PeerAddress, service: string, payload: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const target = [...this.#nodes.values()].find(other => sameAddress(other.listen, address))
      if (target === undefined) {
        const error = new MeshError('UNREACHABLE', `nobody listens at ${keyOf(address)}`)
        this.#after(2 * this.#defaultPath.latencyMs, () => node.scheduler.nextTurn(() => reject(error)))
        return
      }
      const answer = (settle: () => void): void => this.#carryOnce(target, node, settle)
      this.#carryOnce(node, target, () => {
        target.core.runOpenCall(service, new Uint8Array(payload)).then(
          result => answer(() => resolve(new Uint8Array(result))),
          (error: MeshError) => answer(() => reject(error))
        )
      })
    })
  }

  /** Links those that know each other, belong to the same cluster and have a free way between them. */
  #linkAll(): void {
    const nodes = [...this.#nodes.values()]
    for (const low of nodes) {
      for (const high of nodes) if (low.number < high.number && this.#mayLink(low, high)) this.#dial(low, high)
    }
  }

  #mayLink(low: MemoryNode, high: MemoryNode): boolean {
    if (!low.plugged || !high.plugged || this.#isCut(low.number, high.number)) return false
    const present = this.#connections.get(pairOf(low.number, high.number))
    if (present?.joins(low, high) === true) return false
    return low.knows(high) && low.admits(high) && high.admits(low)
  }

  #dial(low: MemoryNode, high: MemoryNode): void {
    const pair = pairOf(low.number, high.number)
    if (this.#dialing.has(pair)) return
    this.#dialing.add(pair)
    this.#after(this.#options.redialMs, () => {
      this.#dialing.delete(pair)
      if (this.#mayLink(low, high)) this.#connect(low, high)
      else this.#linkAll() // one of the two may have been replaced meanwhile
    })
  }

  #connect(low: MemoryNode, high: MemoryNode): void {
    const pair = pairOf(low.number, high.number)
    const stale = this.#connections.get(pair)
    if (stale !== undefined) this.#break(stale, 'it linked anew')
    const connection = new MemoryConnection(low, high, {
      wire: (from, to, arrive) => this.#wire(from, to, arrive),
      ended: reason => this.#break(connection, reason)
    })
    this.#connections.set(pair, connection)
    connection.plug()
  }

  #wire(from: MemoryNode, to: MemoryNode, arrive: (frames: readonly Frame[]) => void): MemoryWire {
    const { scheduler, random, overwriteHandled } = this.#options
    return new MemoryWire({
      scheduler,
      random,
      path: () => this.#path(from.number, to.number),
      blocked: () => this.#blocked.has(wayOf(from.number, to.number)),
      alive: () => from.plugged,
      arrive: frames => {
        to.run(() => {
          arrive(frames)
          if (overwriteHandled) overwriteMessages(frames)
        })
      }
    })
  }

  #giveUpLater(connection: MemoryConnection): void {
    if (connection.giveUpMs !== Infinity) return
    const { scheduler, detectMs } = this.#options
    connection.giveUpMs = scheduler.now() + detectMs
    this.#after(detectMs, () => {
      if (scheduler.now() >= connection.giveUpMs) this.#break(connection, 'nothing passes any more')
    })
  }

  #break(connection: MemoryConnection, reason: string): void {
    const pair = pairOf(connection.low.number, connection.high.number)
    if (this.#connections.get(pair) === connection) this.#connections.delete(pair)
    connection.unplug(reason)
    this.#linkAll()
  }

  #unplug(number: number): MemoryNode {
    const node = this.#nodes.get(number)
    assert(node !== undefined, `peer ${number} is open`)
    this.#nodes.delete(number)
    node.plugged = false
    return node
  }

  /** Carries one datum outside of any connection, if the way is free then. */
  #carryOnce(from: MemoryNode, to: MemoryNode, arrived: () => void): void {
    this.#after(this.#path(from.number, to.number).latencyMs, () => {
      if (!this.#isCut(from.number, to.number)) to.run(arrived)
    })
  }

  #connectionsOf(node: MemoryNode): MemoryConnection[] {
    return [...this.#connections.values()].filter(({ low, high }) => low === node || high === node)
  }

  #isCut(left: number, right: number): boolean {
    return this.#blocked.has(wayOf(left, right)) || this.#blocked.has(wayOf(right, left))
  }

  #path(from: number, to: number): MemoryPath {
    return this.#paths.get(wayOf(from, to)) ?? this.#defaultPath
  }

  #after(delayMs: number, task: () => void): void {
    if (delayMs > 0) this.#options.scheduler.after(delayMs, task)
    else this.#options.scheduler.nextTurn(task)
  }
}

function overwriteMessages(frames: readonly Frame[]): void {
  for (const frame of frames) if (frame.kind === 'message') frame.payload.fill(OVERWRITTEN)
}

function pairOf(left: number, right: number): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`
}

function wayOf(from: number, to: number): string {
  return `${from}>${to}`
}
