/**
 * The controller's log as the controller sees it: commands go in, and come out again, in one order, on every replica.
 *
 * Each command is one record batch with one record whose value is the command as JSON (KRaft keeps its metadata the same way),
 * so the log has the same format, checks, durability and replication as everything else.
 */
import { BatchBuilder, batchHeader, iterateRecords } from '@milena/wire-protocol'
import type { FollowerStatus, ReplicatedLog } from '../../replication/contract.ts'
import type { ClusterState } from '../metadata/cluster-state.ts'
import { decodeCommand, encodeCommand, type Command, type CommandResult } from '../metadata/commands.ts'

export const CONTROLLER_LOG_NAME = '__controller'

/** Commands that are committed, in order, and the revision that the last one leads to. */
export interface AppliedCommands {
  readonly revision: number
  readonly commands: readonly Command[]
}

export type ExecuteOutcome =
  | { readonly kind: 'applied'; readonly result: CommandResult }
  /** It was not carried out and never will be: this replica does not lead. */
  | { readonly kind: 'notLeader' }
  /** The log accepts nothing any more: its disk failed. */
  | { readonly kind: 'failed' }

/** The Raft group behind the log, as operators are told of it. */
export interface Quorum {
  readonly self: number
  /** Broker id, undefined while there is none. */
  readonly leader: number | undefined
  readonly term: number
  /** Everything below is committed. */
  readonly committedOffset: number
  readonly endOffset: number
  readonly membership: ReplicatedLog['membership']
  /** All others, as the leader knows them; empty on followers. */
  readonly followers: readonly FollowerStatus[]
}

export interface CommandLog {
  /** After every command that this replica knows to be committed. */
  readonly state: ClusterState
  /** This replica leads, and `state` has all that was ever committed: it may plan. */
  readonly leading: boolean
  /** Broker id of the replica that leads, if it is known. */
  readonly leader: number | undefined
  /** Raft's term. */
  readonly term: number
  /** Number of the last unclean recovery of the controller that this replica is of; 0: none. */
  readonly recovery: number
  /**
   * Commits a command and applies it. Callers take turns: one at a time, planned against the newest `state`. Settles when it
   * is decided, which can take as long as there is no majority.
   */
  execute(command: Command): Promise<ExecuteOutcome>
  /** Called after `state` moved. Never called again with a revision at or below. */
  onApplied(listener: (applied: AppliedCommands) => void): void
  /** True once a majority has confirmed that this replica still leads: `state` has all that was committed when it was called. */
  confirm(): Promise<boolean>
  quorum(): Quorum
  /** Changes who has a replica of the log; false when it was given up. Leader only. */
  changeReplicas(voters: readonly number[], learners: readonly number[]): Promise<boolean>
  /** `leading`, `leader` or `term` changed. */
  onRoleChange(listener: () => void): void
}

/** A command as a batch for the log. */
export function commandBatch(command: Command, baseOffset: number, term: number, nowMs: number): Uint8Array {
  const builder = new BatchBuilder({ baseOffset })
  builder.append({ key: null, value: encodeCommand(command), timestamp: BigInt(nowMs) })
  const batch = builder.build()
  batchHeader.setLeaderEpoch(batch, 0, term)
  return batch
}

/** The commands in a piece of the log, with the offset of each, from `fromOffset` on. */
export function* commandsIn(
  bytes: Uint8Array,
  fromOffset: number
): Iterable<{ readonly offset: number; readonly command: Command }> {
  for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at)) {
    for (const record of iterateRecords(bytes, at)) {
      const offset = Number(record.offset)
      if (offset >= fromOffset && record.value !== null) yield { offset, command: decodeCommand(record.value) }
    }
  }
}
