/**
 * Clients of replicated logs: each writes batches that occur once to whoever leads, and counts one as acknowledged when that
 * leader, in the same life, says that it is committed (acks=all). Some ask a leader to confirm itself and read.
 */
import { BatchBuilder, batchHeader } from '@milena/wire-protocol'
import type { Machine } from '../machine/machine.ts'
import type { ProcessTime } from '../machine/process-time.ts'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import { contentsOf } from './group-history.ts'
import type { ReplicaProcess } from './replica-process.ts'
import type { LiveReplica, ReplicationObserver } from './replication-observer.ts'

interface Pending {
  readonly process: ProcessTime
  readonly baseOffset: number
  readonly lastOffset: number
  readonly contents: number
}

export class ReplicationClients {
  acknowledgedCount = 0
  /** Writes that a leader took. */
  proposedCount = 0
  readonly #world: World
  readonly #machines: readonly Machine<ReplicaProcess>[]
  readonly #observer: ReplicationObserver
  readonly #random: Random
  readonly #callMs: number
  readonly #valueBytes: readonly number[]
  readonly #pending = new Map<string, Pending[]>()
  #sequence = 0

  /** `valueBytes`: sizes of values, each as likely as the others. */
  constructor(
    world: World,
    machines: readonly Machine<ReplicaProcess>[],
    observer: ReplicationObserver,
    valueBytes: readonly number[]
  ) {
    this.#valueBytes = valueBytes
    this.#world = world
    this.#machines = machines
    this.#observer = observer
    this.#random = world.random.of('clients')
    this.#callMs = this.#random.pick([15, 50, 100, 200])
    for (const name of observer.histories.keys()) this.#pending.set(name, [])
    observer.watch((replica, truncatedTo) => this.#settle(replica, truncatedTo))
  }

  start(): void {
    this.#world.schedule(this.#random.exponential(this.#callMs), () => {
      this.start()
      const name = this.#random.pick([...this.#pending.keys()])
      if (this.#random.chance(0.05)) this.#read(name)
      else this.write(name)
    })
  }

  /** Writes a batch to whoever seems to lead; false when nobody takes it. */
  write(name: string): boolean {
    const leaders = this.#machines.filter(
      ({ running, isHeldUp }) => !isHeldUp && running?.groups.get(name)?.leading === true
    )
    if (leaders.length === 0) return false
    const machine = this.#random.pick(leaders)
    const group = machine.running?.groups.get(name)
    if (group === undefined || machine.time === undefined) return false
    const batch = this.#batch(group.log.endOffset, group.term)
    const contents = contentsOf(batch)
    const baseOffset = batchHeader.baseOffset(batch, 0)
    const lastOffset = batchHeader.lastOffset(batch, 0)
    if (group.propose(batch).kind !== 'proposed') return false
    this.#observer.history(name).sent.add(contents)
    this.#pending.get(name)?.push({ process: machine.time, baseOffset, lastOffset, contents })
    this.proposedCount++
    this.#trace(machine, 'write', name, baseOffset, lastOffset)
    return true
  }

  #batch(baseOffset: number, term: number): Uint8Array {
    const builder = new BatchBuilder({ baseOffset })
    for (let count = this.#random.pick([1, 1, 2, 5]); count > 0; count--) {
      const value = Buffer.alloc(this.#random.pick(this.#valueBytes), ++this.#sequence & 0xff)
      value.writeUInt32BE(this.#sequence, 0)
      builder.append({ key: null, value, timestamp: 1_783_000_000_000n })
    }
    const batch = builder.build()
    batchHeader.setLeaderEpoch(batch, 0, term)
    return batch
  }

  /** A read that must see everything that was acknowledged before it began (P22). */
  #read(name: string): void {
    const machine = this.#random.pick(this.#machines)
    const { time } = machine
    const group = machine.running?.groups.get(name)
    if (group === undefined || time === undefined || machine.isHeldUp) return
    const history = this.#observer.history(name)
    const before = history.acknowledgedEnd
    group.confirmLeadership().then(
      () => {
        if (time.hasEnded || group.committedOffset >= before) return
        this.#world.fail(
          new Error(
            `linearizable-reads: ${name} on ${machine.name} reads up to ${group.committedOffset}, ${before} was acknowledged`
          )
        )
      },
      () => undefined
    )
  }

  #settle({ machine, group, history }: LiveReplica, truncatedTo: number | undefined): void {
    const pending = this.#pending.get(history.name) ?? []
    const still: Pending[] = []
    for (const write of pending) {
      if (write.process.hasEnded) continue
      const isHere = write.process === machine.time
      if (isHere && truncatedTo !== undefined && write.lastOffset >= truncatedTo) continue
      if (!isHere || write.lastOffset >= group.committedOffset) still.push(write)
      else {
        history.acknowledge(write.baseOffset, write.lastOffset, write.contents)
        this.acknowledgedCount++
        this.#trace(machine, 'acknowledge', history.name, write.baseOffset, write.lastOffset)
      }
    }
    this.#pending.set(history.name, still)
  }

  #trace({ name }: Machine<ReplicaProcess>, what: string, log: string, baseOffset: number, lastOffset: number): void {
    const { trace } = this.#world
    if (trace.printing) trace.line(name, what, `${log} ${baseOffset}..${lastOffset}`)
  }
}
