/**
 * Who sees all replicas of all groups at once. Follows what each replica says to be committed, batch by batch, and hands what
 * happens to the checkers.
 */
import type { GroupListener, ReplicatedLog } from '@milena/broker/testing'
import { batchHeader } from '@milena/wire-protocol'
import type { Machine } from '../machine/machine.ts'
import type { ProcessTime } from '../machine/process-time.ts'
import type { World } from '../world/world.ts'
import { contentsOf, GroupHistory, hashOf } from './group-history.ts'
import type { ReplicaProcess } from './replica-process.ts'

/** One replica of a group while its process lives. */
export interface LiveReplica {
  readonly machine: Machine<ReplicaProcess>
  /** Of its process. */
  readonly time: ProcessTime
  readonly group: ReplicatedLog
  readonly history: GroupHistory
  readonly by: string
}

/** What a checker may want to know; called right after it happened. */
export interface ReplicationChecker {
  readonly name: string
  /** Something about the replica changed: role, term, offsets. */
  changed?(replica: LiveReplica): void
  truncated?(replica: LiveReplica, offset: number): void
  /** Faults are over and everything had time to recover. */
  finished?(replicas: readonly LiveReplica[]): Promise<void> | void
}

/** Bytes read at once when committed batches are followed. */
const READ_BYTES = 64 << 10

/** Batches that a replica which starts is compared from, before the end of what is known. */
const COMPARED_AGAIN = 100

export class ReplicationObserver {
  readonly world: World
  readonly histories = new Map<string, GroupHistory>()
  readonly #checkers: ReplicationChecker[] = []
  readonly #listeners = new Set<(replica: LiveReplica, truncatedTo: number | undefined) => void>()
  /** The disk of this machine may be damaged: it may answer that it cannot read, and its replicas may begin anew. */
  readonly #victim: Machine<ReplicaProcess> | undefined

  constructor(world: World, groups: readonly string[], victim: Machine<ReplicaProcess> | undefined) {
    this.world = world
    this.#victim = victim
    for (const name of groups) this.histories.set(name, new GroupHistory(name, world))
  }

  add(...checkers: readonly ReplicationChecker[]): void {
    this.#checkers.push(...checkers)
  }

  /** Clients: called after the checkers. */
  watch(listener: (replica: LiveReplica, truncatedTo: number | undefined) => void): void {
    this.#listeners.add(listener)
  }

  history(name: string): GroupHistory {
    const history = this.histories.get(name)
    if (history === undefined) throw new Error(`no group ${name}`)
    return history
  }

  /** The listener of one replica of one process. */
  listenerOf(machine: Machine<ReplicaProcess>, name: string, groupOf: () => ReplicatedLog | undefined): GroupListener {
    const history = this.history(name)
    const { time } = machine
    let follower: CommitFollower | undefined
    const changed = (truncatedTo?: number): void => {
      const group = groupOf()
      if (group === undefined || time === undefined || time.hasEnded) return
      const replica = { machine, time, group, history, by: machine.name }
      // It begins anew: what it is given now is followed again.
      if (truncatedTo === 0) follower = undefined
      this.world.trace.note('changed', machine.number, group.committedOffset * 31 + group.term)
      follower ??= new CommitFollower(replica, error => this.#readFailed(replica, error))
      follower.follow()
      for (const checker of this.#checkers) {
        if (truncatedTo !== undefined) checker.truncated?.(replica, truncatedTo)
        checker.changed?.(replica)
      }
      for (const listener of this.#listeners) listener(replica, truncatedTo)
    }
    return {
      advanced: () => changed(),
      roleChanged: () => {
        this.#traceRole(machine, groupOf())
        changed()
      },
      replicasChanged: () => changed(),
      truncated: offset => changed(offset),
      failed: () => undefined
    }
  }

  /** Its disk may be damaged. */
  isVictim(machine: Machine<ReplicaProcess>): boolean {
    return machine === this.#victim
  }

  async finished(replicas: readonly LiveReplica[]): Promise<void> {
    for (const checker of this.#checkers) await checker.finished?.(replicas)
  }

  #traceRole(machine: Machine<ReplicaProcess>, group: ReplicatedLog | undefined): void {
    if (group === undefined || !this.world.trace.printing) return
    const { name, role, term, leading, committedOffset, log } = group
    const offsets = `committed ${committedOffset} flushed ${log.flushedOffset} end ${log.endOffset}`
    this.world.trace.line(machine.name, 'role', `${name} ${role}${leading ? ', leading,' : ''} term ${term} ${offsets}`)
  }

  #readFailed({ machine, history, by }: LiveReplica, error: unknown): void {
    if (this.world.trace.printing) this.world.trace.line(by, 'unreadable', `${history.name} ${String(error)}`)
    if (machine === this.#victim || machine.diskIsSuspect) return
    const explanation = `${history.name} on ${by}: what is committed cannot be read: ${String(error)}`
    this.world.fail(new Error(`replica-identity: ${explanation}`))
  }
}

/** Reads what a replica says to be committed, in order, and compares it. */
class CommitFollower {
  readonly #replica: LiveReplica
  readonly #failed: (error: unknown) => void
  #offset: number
  #reading = false

  constructor(replica: LiveReplica, failed: (error: unknown) => void) {
    this.#replica = replica
    this.#failed = failed
    const { committed } = replica.history
    this.#offset = committed[committed.length - COMPARED_AGAIN]?.baseOffset ?? 0
  }

  follow(): void {
    if (this.#reading) return
    const { group } = this.#replica
    // A follower may know of a commit before it has written all of it.
    while (this.#offset < Math.min(group.committedOffset, group.log.endOffset)) {
      this.#offset = Math.max(this.#offset, group.log.startOffset)
      try {
        const read = group.log.read(this.#offset, READ_BYTES, group.committedOffset, true)
        if (!(read instanceof Promise)) {
          this.#take(read)
          continue
        }
        this.#reading = true
        read.then(
          result => {
            this.#reading = false
            if (this.#replica.time.hasEnded) return result.release()
            this.#take(result)
            this.follow()
          },
          (error: unknown) => this.#stop(error)
        )
        return
      } catch (error) {
        return this.#stop(error)
      }
    }
  }

  #stop(error: unknown): void {
    if (error instanceof Error && error.name === 'Violation') throw error
    this.#offset = Infinity
    if (!this.#replica.time.hasEnded) this.#failed(error)
  }

  #take(read: { readonly slices: readonly Uint8Array[]; readonly nextOffset: number; release(): void }): void {
    const { history, by } = this.#replica
    const [only] = read.slices
    const bytes = read.slices.length === 1 && only !== undefined ? only : Buffer.concat(read.slices)
    compareBatches(bytes, history, by)
    this.#offset = read.nextOffset
    read.release()
  }
}

/** Compares the batches in `bytes`, which are committed, with what is known. */
export function compareBatches(bytes: Uint8Array, history: GroupHistory, by: string): void {
  for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at)) {
    const batch = bytes.subarray(at, at + batchHeader.totalBytes(bytes, at))
    const contents = contentsOf(batch)
    history.batchCommitted(by, {
      baseOffset: batchHeader.baseOffset(batch, 0),
      lastOffset: batchHeader.lastOffset(batch, 0),
      epoch: batchHeader.leaderEpoch(batch, 0),
      hash: hashOf(batch, contents),
      contents
    })
  }
}
