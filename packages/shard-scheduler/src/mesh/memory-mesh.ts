/**
 * Shards inside one process: the mesh of embedded brokers, of tests and of the simulator. Same core as `SocketMesh`, so the
 * same promises, bounds and errors; only links are arrays instead of sockets. Deterministic: given a `Scheduler` that is,
 * two runs deliver the same frames in the same order. Payloads are copied on their way, as between processes.
 *
 * `MemoryMeshNetwork` is the cable cupboard: it can cut, stall and heal the link between two shards, and end and start a shard.
 */
import assert from 'node:assert'
import type { Frame, Link } from '../frames/frames.ts'
import { realScheduler } from '../scheduler/real-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { MeshCore } from './mesh-core.ts'
import type { MeshLimits } from './mesh-limits.ts'

/** Settings of meshes in memory. */
export interface MemoryMeshOptions {
  /** Time and turns (default Node's loop). */
  readonly scheduler?: Scheduler
  /** Bounds (default `defaultMeshLimits`). */
  readonly limits?: Partial<MeshLimits>
  /** All shards run from the beginning (default true). Otherwise each does after `start`. */
  readonly started?: boolean
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
  readonly #shardCount: number
  readonly #running = new Map<number, { readonly mesh: MemoryMesh; readonly scheduler: Scheduler }>()
  readonly #cables = new Map<string, Cable>()

  constructor(shardCount: number, options: MemoryMeshOptions = {}) {
    this.#scheduler = options.scheduler ?? realScheduler
    this.#limits = options.limits ?? {}
    this.#shardCount = shardCount
    if (options.started === false) return
    for (let shard = 0; shard < shardCount; shard++) this.start(shard)
  }

  /** The present mesh of each shard that runs, in the order of the shards. */
  get meshes(): readonly MemoryMesh[] {
    return [...this.#running.values()].map(({ mesh }) => mesh).sort((left, right) => left.shard - right.shard)
  }

  /** Links two shards. Nothing happens when they are linked. */
  connect(left: number, right: number): void {
    const key = cableKey(left, right)
    if (this.#cables.has(key)) return
    const ends = [new MemoryLink(this.#at(left).scheduler), new MemoryLink(this.#at(right).scheduler)] as const
    const lost = (): void => this.disconnect(left, right)
    ends[0].plug(this.#at(left).mesh, right, ends[1], lost)
    ends[1].plug(this.#at(right).mesh, left, ends[0], lost)
    this.#cables.set(key, { ends })
    this.#at(left).mesh.linkUp(right, ends[0])
    this.#at(right).mesh.linkUp(left, ends[1])
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

  /**
   * A mesh for a shard that does not run, with no services, linked to all that do. It waits and delivers by `scheduler` (default
   * the network's).
   */
  start(shard: number, scheduler = this.#scheduler): MemoryMesh {
    assert(!this.#running.has(shard), `shard ${shard} runs`)
    const mesh = new MeshCore(shard, this.#shardCount, scheduler, this.#limits)
    const others = [...this.#running.keys()]
    this.#running.set(shard, { mesh, scheduler })
    for (const other of others) this.connect(other, shard)
    return mesh
  }

  /** The process of a shard ends here and now: it hears nothing any more; the others see their links to it end. */
  crash(shard: number): void {
    this.#at(shard)
    for (const other of this.#running.keys()) {
      const key = cableKey(shard, other)
      for (const end of this.#cables.get(key)?.ends ?? []) end.end(shard)
      this.#cables.delete(key)
    }
    this.#running.delete(shard)
  }

  /** Ends shard's mesh in good order and starts a new one, with no services, linked to all others. Returns it. */
  async restart(shard: number): Promise<MemoryMesh> {
    const { mesh, scheduler } = this.#at(shard)
    for (const other of this.#running.keys()) if (other !== shard) this.disconnect(shard, other)
    await mesh.close()
    this.#running.delete(shard)
    return this.start(shard, scheduler)
  }

  #at(shard: number): { readonly mesh: MemoryMesh; readonly scheduler: Scheduler } {
    const running = this.#running.get(shard)
    assert(running !== undefined, `shard ${shard} runs and is in [0, ${this.#shardCount})`)
    return running
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
    const pass = (): void => {
      this.#scheduler.nextTurn(taken)
      this.#otherEnd?.deliver(copies)
    }
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

  /** The process of `shard`, at one of the two ends, is gone: the end there falls silent, the other one is told in a later turn. */
  end(shard: number): void {
    if (this.#peerShard === shard) this.#scheduler.nextTurn(() => this.cut())
    else this.#mesh = undefined
    this.#otherEnd = undefined
    this.#lost = () => {}
  }

  /** Frames from the other end; they arrive in a turn of this one. */
  deliver(frames: readonly Frame[]): void {
    this.#scheduler.nextTurn(() => this.#mesh?.receive(this.#peerShard, this, frames))
  }
}

function cableKey(left: number, right: number): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`
}

function copyFrame(frame: Frame): Frame {
  return { ...frame, payload: new Uint8Array(frame.payload) }
}
