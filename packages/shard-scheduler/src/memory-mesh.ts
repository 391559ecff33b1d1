/**
 * Shards inside one process: the mesh of embedded brokers, of tests and of the simulator. Same core as `SocketMesh`, so the
 * same promises, bounds and errors; only links are arrays instead of sockets. Deterministic: given a `Scheduler` that is,
 * two runs deliver the same frames in the same order. Payloads are copied on their way, as between processes.
 *
 * `MemoryMeshNetwork` is the cable cupboard: it can cut, stall and heal the link between two shards, and restart a shard.
 */
import assert from 'node:assert'
import type { Frame, Link } from './mesh/frames.ts'
import { MeshCore } from './mesh/mesh-core.ts'
import type { MeshLimits } from './mesh/mesh-limits.ts'
import { realScheduler } from './real-scheduler.ts'
import type { Scheduler } from './scheduler.ts'

/** Settings of meshes in memory. */
export interface MemoryMeshOptions {
  /** Time and turns (default Node's loop). */
  readonly scheduler?: Scheduler
  /** Bounds (default `defaultMeshLimits`). */
  readonly limits?: Partial<MeshLimits>
}

/** A mesh in memory. */
export type MemoryMesh = MeshCore

/** `shardCount` meshes that reach each other at once: `meshes[i]` is shard i's. */
export function memoryMeshes(shardCount: number, options: MemoryMeshOptions = {}): MemoryMesh[] {
  return [...new MemoryMeshNetwork(shardCount, options).meshes]
}

interface Cable {
  readonly ends: readonly [MemoryLink, MemoryLink]
}

/** The meshes of `shardCount` shards and the links between them. */
export class MemoryMeshNetwork {
  readonly #scheduler: Scheduler
  readonly #limits: Partial<MeshLimits>
  readonly #meshes: MemoryMesh[]
  readonly #cables = new Map<string, Cable>()

  constructor(shardCount: number, options: MemoryMeshOptions = {}) {
    this.#scheduler = options.scheduler ?? realScheduler
    this.#limits = options.limits ?? {}
    this.#meshes = Array.from({ length: shardCount }, (_, shard) => this.#open(shard, shardCount))
    for (let left = 0; left < shardCount; left++) {
      for (let right = left + 1; right < shardCount; right++) this.connect(left, right)
    }
  }

  /** The present mesh of each shard. */
  get meshes(): readonly MemoryMesh[] {
    return this.#meshes
  }

  /** Links two shards. Nothing happens when they are linked. */
  connect(left: number, right: number): void {
    const key = cableKey(left, right)
    if (this.#cables.has(key)) return
    const ends = [new MemoryLink(this.#scheduler), new MemoryLink(this.#scheduler)] as const
    const lost = (): void => this.disconnect(left, right)
    ends[0].plug(this.#meshAt(left), right, ends[1], lost)
    ends[1].plug(this.#meshAt(right), left, ends[0], lost)
    this.#cables.set(key, { ends })
    this.#meshAt(left).linkUp(right, ends[0])
    this.#meshAt(right).linkUp(left, ends[1])
  }

  /** Cuts the link between two shards: what is under way on it is lost, both sides learn of it. */
  disconnect(left: number, right: number): void {
    const key = cableKey(left, right)
    const cable = this.#cables.get(key)
    if (cable === undefined) return
    this.#cables.delete(key)
    for (const end of cable.ends) end.cut()
  }

  /** Holds what travels between two shards back (`true`), or lets it go on (`false`): a peer that hangs but is not dead. */
  stall(left: number, right: number, stalled: boolean): void {
    const cable = this.#cables.get(cableKey(left, right))
    assert(cable !== undefined, 'only a link can stall')
    for (const end of cable.ends) end.stall(stalled)
  }

  /** Ends shard's mesh as a crash would and starts a new one, with no services, linked to all others. Returns it. */
  async restart(shard: number): Promise<MemoryMesh> {
    const previous = this.#meshAt(shard)
    const others = this.#meshes.map(mesh => mesh.shard).filter(other => other !== shard)
    for (const other of others) this.disconnect(shard, other)
    await previous.close()
    const mesh = this.#open(shard, this.#meshes.length)
    this.#meshes[shard] = mesh
    for (const other of others) this.connect(shard, other)
    return mesh
  }

  #open(shard: number, shardCount: number): MemoryMesh {
    return new MeshCore(shard, shardCount, this.#scheduler, this.#limits)
  }

  #meshAt(shard: number): MemoryMesh {
    const mesh = this.#meshes[shard]
    assert(mesh !== undefined, `shard ${shard} is in [0, ${this.#meshes.length})`)
    return mesh
  }
}

/** One end of a cable. Frames arrive at the other end in a later turn. */
class MemoryLink implements Link {
  readonly #scheduler: Scheduler
  #mesh: MeshCore | undefined
  #peerShard = -1
  #otherEnd: MemoryLink | undefined
  #lost: () => void = () => {}
  #stalled = false
  #heldBack: (() => void)[] = []

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  plug(mesh: MeshCore, peerShard: number, otherEnd: MemoryLink, lost: () => void): void {
    this.#mesh = mesh
    this.#peerShard = peerShard
    this.#otherEnd = otherEnd
    this.#lost = lost
  }

  send(frames: readonly Frame[], taken: () => void): void {
    const copies = frames.map(copyFrame)
    const pass = (): void =>
      this.#scheduler.nextTurn(() => {
        taken()
        this.#otherEnd?.arrive(copies)
      })
    if (this.#stalled) this.#heldBack.push(pass)
    else pass()
  }

  stall(stalled: boolean): void {
    this.#stalled = stalled
    if (stalled) return
    for (const pass of this.#heldBack.splice(0)) pass()
  }

  close(): void {
    this.#lost()
  }

  cut(): void {
    const mesh = this.#mesh
    this.#mesh = undefined
    this.#otherEnd = undefined
    this.#heldBack = []
    mesh?.linkDown(this.#peerShard, this, `the link to shard ${this.#peerShard} was cut`)
  }

  arrive(frames: readonly Frame[]): void {
    this.#mesh?.receive(this.#peerShard, this, frames)
  }
}

function cableKey(left: number, right: number): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`
}

function copyFrame(frame: Frame): Frame {
  return { ...frame, payload: new Uint8Array(frame.payload) }
}
