/**
 * The controller's log as a Raft group over the first shards of the nodes. Every one of them applies what is committed, in
 * order; only the leader plans.
 *
 * Every `COMMANDS_PER_SNAPSHOT` commands the folded state goes to the state store and the log before it is trimmed; a replica
 * that is too far behind is sent the state instead of commands. A start so reads a snapshot and at most that many commands.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import { StoreError, type LogStore, type StateStore } from '@milena/storage-engine'
import type { GroupListener, GroupSnapshots, ReplicaHost, ReplicatedLog } from '../../replication/contract.ts'
import { NotLeaderError } from '../../replication/errors.ts'
import { apply } from '../metadata/apply.ts'
import {
  emptyState,
  fromSnapshot,
  toSnapshot,
  type ClusterState,
  type StateSnapshot
} from '../metadata/cluster-state.ts'
import type { Command, CommandResult } from '../metadata/commands.ts'
import {
  commandBatch,
  commandsIn,
  CONTROLLER_LOG_NAME,
  type AppliedCommands,
  type CommandLog,
  type ExecuteOutcome,
  type Quorum
} from './command-log.ts'

const SNAPSHOT_KEY = 'controller/snapshot'
/** Commands between snapshots. At about 300 bytes each, this is what a start replays at most. */
const COMMANDS_PER_SNAPSHOT = 2000
const READ_BYTES = 256 * 1024
const LOG_OPTIONS = { segmentBytes: 16 * 1024 * 1024, indexIntervalBytes: 4096, segmentMs: Number.MAX_SAFE_INTEGER }

export interface RaftCommandLogOptions {
  readonly host: ReplicaHost
  readonly store: LogStore
  /** Broker ids that the group began with; empty for a node that joined later. */
  readonly bootstrap: readonly number[]
  /** Wall clock, ms. */
  readonly now: () => number
  /** Called when who leads, the term or what is in sync has changed. */
  readonly leadershipChanged: (group: ReplicatedLog) => void
  readonly log: { error(fields: object, message: string): void }
}

interface Waiter {
  readonly offset: number
  readonly resolve: (outcome: ExecuteOutcome) => void
}

export class RaftCommandLog implements CommandLog {
  readonly #options: RaftCommandLogOptions
  readonly #appliedListeners: ((applied: AppliedCommands) => void)[] = []
  readonly #roleListeners: (() => void)[] = []
  #group: ReplicatedLog | undefined
  #state: ClusterState = emptyState
  /** Every offset below is in `#state`. */
  #appliedOffset = 0
  #sinceSnapshot = 0
  #waiters: Waiter[] = []
  #draining = false
  #forgotten = false
  /** `leading` when listeners were told last. */
  #ledBefore = false

  private constructor(options: RaftCommandLogOptions) {
    this.#options = options
  }

  static async open(options: RaftCommandLogOptions): Promise<RaftCommandLog> {
    const commands = new RaftCommandLog(options)
    const stored = options.store.state.get(SNAPSHOT_KEY)
    if (stored !== undefined) commands.#restore(decodeSnapshot(stored))
    const [group] = await options.host.open([
      {
        name: CONTROLLER_LOG_NAME,
        options: LOG_OPTIONS,
        bootstrap: options.bootstrap,
        snapshot: commands.#snapshots,
        listener: commands.#listener
      }
    ])
    if (group === undefined) throw new StoreError('UNKNOWN_LOG', 'the controller log was not opened')
    commands.#group = group
    commands.#reportLeadership()
    await commands.#drain()
    return commands
  }

  get state(): ClusterState {
    return this.#state
  }

  get leading(): boolean {
    const group = this.#group
    return group !== undefined && group.leading && this.#appliedOffset >= group.committedOffset
  }

  get leader(): number | undefined {
    return this.#group?.leader
  }

  get term(): number {
    return this.#group?.term ?? 0
  }

  get recovery(): number {
    return this.#group?.recovery ?? 0
  }

  /**
   * The controller was recovered, and `leader` leads it since. A replica that it has let in, or that has nothing yet, notes that;
   * one of before drops its copy and its snapshot, for their commands may never have happened: the next start begins with nothing
   * and waits to be added. False: this one cannot go on, `state` stays as it is.
   */
  async followRecovery(number: number, leader: number): Promise<boolean> {
    const group = this.#requireGroup()
    const recovery = { number, survivor: leader, term: 0 }
    const isPart = group.leader === leader || (group.membership.voters.length === 0 && this.#state === emptyState)
    if (!isPart) {
      this.#forgotten = true
      // First the snapshot: a log without it says so, but a snapshot without its log would be gone on from.
      await this.#stateStore.putAll(new Map([[SNAPSHOT_KEY, undefined]]))
    }
    await this.#options.host.recover(CONTROLLER_LOG_NAME, recovery, isPart)
    return isPart
  }

  async execute(command: Command): Promise<ExecuteOutcome> {
    const group = this.#group
    if (group === undefined || !this.leading) return { kind: 'notLeader' }
    for (;;) {
      const offset = group.log.endOffset
      const batch = commandBatch(command, offset, group.term, this.#options.now())
      const { kind } = group.propose(batch)
      if (kind === 'proposed') return new Promise(resolve => this.#waiters.push({ offset, resolve }))
      if (kind === 'notLeader' || kind === 'failed') return { kind }
      await group.whenWritable(batch.length)
    }
  }

  async confirm(): Promise<boolean> {
    try {
      await this.#requireGroup().confirmLeadership()
      return true
    } catch (error) {
      if (error instanceof NotLeaderError) return false
      throw error
    }
  }

  quorum(): Quorum {
    const group = this.#requireGroup()
    const { self, leader, term, committedOffset, membership, log } = group
    return { self, leader, term, committedOffset, endOffset: log.endOffset, membership, followers: group.followers() }
  }

  changeReplicas(voters: readonly number[], learners: readonly number[]): Promise<boolean> {
    return this.#requireGroup().changeReplicas(voters, learners)
  }

  onApplied(listener: (applied: AppliedCommands) => void): void {
    this.#appliedListeners.push(listener)
  }

  onRoleChange(listener: () => void): void {
    this.#roleListeners.push(listener)
  }

  readonly #listener: GroupListener = {
    advanced: () => void this.#drain(),
    roleChanged: () => {
      void this.#drain()
      this.#tellRole()
    },
    replicasChanged: () => this.#reportLeadership(),
    truncated: offset => this.#giveUp(waiter => waiter.offset >= offset, 'notLeader'),
    failed: () => this.#giveUp(() => true, 'failed')
  }

  readonly #snapshots: GroupSnapshots = {
    take: () => ({ bytes: encodeSnapshot(this.#state, this.#appliedOffset), offset: this.#appliedOffset }),
    install: async bytes => {
      await this.#stateStore.put(SNAPSHOT_KEY, bytes)
      this.#giveUp(() => true, 'notLeader')
      this.#restore(decodeSnapshot(bytes))
      this.#tell([])
    }
  }

  #tellRole(): void {
    this.#ledBefore = this.leading
    this.#reportLeadership()
    for (const listener of this.#roleListeners) listener()
  }

  #reportLeadership(): void {
    if (this.#group !== undefined) this.#options.leadershipChanged(this.#group)
  }

  #restore({ state, offset }: { state: ClusterState; offset: number }): void {
    this.#state = state
    this.#appliedOffset = offset
    this.#sinceSnapshot = 0
  }

  #giveUp(which: (waiter: Waiter) => boolean, kind: 'notLeader' | 'failed'): void {
    const lost = this.#waiters.filter(which)
    this.#waiters = this.#waiters.filter(waiter => !which(waiter))
    for (const waiter of lost) waiter.resolve({ kind })
  }

  /** Applies all that is committed. One at a time: reads may have to wait for the disk. */
  async #drain(): Promise<void> {
    const group = this.#group
    if (group === undefined || this.#draining || this.#forgotten) return
    this.#draining = true
    try {
      while (this.#appliedOffset < group.committedOffset) await this.#applyMore(group)
    } catch (error) {
      this.#options.log.error({ err: error }, 'the controller log cannot be read; trying again with the next command')
    } finally {
      this.#draining = false
    }
    if (this.leading !== this.#ledBefore) this.#tellRole()
    if (this.#sinceSnapshot >= COMMANDS_PER_SNAPSHOT) await this.#saveSnapshot(group)
  }

  async #applyMore(group: ReplicatedLog): Promise<void> {
    const from = this.#appliedOffset
    const read = await group.log.read(from, READ_BYTES, group.committedOffset, true)
    const decided: { readonly offset: number; readonly result: CommandResult }[] = []
    const commands: Command[] = []
    try {
      // A snapshot may have been installed while the disk was busy.
      if (this.#appliedOffset !== from) return
      for (const { offset, command } of commandsIn(Buffer.concat(read.slices), from)) {
        const step = apply(this.#state, command)
        this.#state = step.state
        commands.push(command)
        decided.push({ offset, result: step.result })
      }
      this.#appliedOffset = read.nextOffset
    } finally {
      read.release()
    }
    this.#sinceSnapshot += commands.length
    this.#tell(commands)
    this.#answer(decided)
  }

  #tell(commands: readonly Command[]): void {
    for (const listener of this.#appliedListeners) listener({ revision: this.#state.revision, commands })
  }

  #answer(decided: readonly { readonly offset: number; readonly result: CommandResult }[]): void {
    for (const { offset, result } of decided) {
      const waiter = this.#waiters.find(waiting => waiting.offset === offset)
      waiter?.resolve({ kind: 'applied', result })
    }
    this.#waiters = this.#waiters.filter(({ offset }) => offset >= this.#appliedOffset)
  }

  async #saveSnapshot(group: ReplicatedLog): Promise<void> {
    const offset = this.#appliedOffset
    this.#sinceSnapshot = 0
    try {
      await this.#stateStore.put(SNAPSHOT_KEY, encodeSnapshot(this.#state, offset))
      await group.trim(offset)
    } catch (error) {
      this.#options.log.error({ err: error }, 'the controller log could not be trimmed')
    }
  }

  get #stateStore(): StateStore {
    return this.#options.store.state
  }

  #requireGroup(): ReplicatedLog {
    if (this.#group === undefined) throw new StoreError('UNKNOWN_LOG', 'the controller log is not open yet')
    return this.#group
  }
}

function encodeSnapshot(state: ClusterState, offset: number): Uint8Array {
  return gzipSync(JSON.stringify({ offset, state: toSnapshot(state) }), { level: 1 })
}

function decodeSnapshot(bytes: Uint8Array): { state: ClusterState; offset: number } {
  const { offset, state } = JSON.parse(gunzipSync(bytes).toString()) as { offset: number; state: StateSnapshot }
  return { offset, state: fromSnapshot(state) }
}
