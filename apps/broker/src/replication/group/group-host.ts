/** What one replica needs of the host of all replicas of its shard. */
import type { Effect, Message, RaftNode, ReplicaId } from '@milena/raft'
import type { Log } from '@milena/storage-engine'
import type { BrokerId, GroupRequest } from '../contract.ts'
import type { GroupKey } from '../wire/group-key.ts'
import type { GroupWrites } from './group-writes.ts'
import type { Group } from './group.ts'

/** What a replica needs from its shard's host. */
export interface GroupHost {
  readonly self: BrokerId
  /** Ticks so far. */
  readonly tick: number
  /** Monotonic ms. */
  nowMs(): number
  /** Milliseconds after which a follower that has not caught up is no longer in sync. */
  readonly lagMsMax: number
  /** The shard of a replica is linked. */
  isReachable(broker: BrokerId): boolean
  /** An append of `bytes` finds room now. */
  writable(bytes: number): boolean
  readonly refusesAppends: boolean
  /** As much as may be waits in copies for room in the store. */
  readonly holdsMuch: boolean
  /** Stands for no election. */
  readonly abstaining: boolean
  whenWritable(bytes: number): Promise<void>
  send(group: Group, message: Message<Uint8Array>): void
  /** Reads and sends entries at the end of the turn, then calls `entriesSent`. */
  sendEntries(group: Group, wanted: SendEntries): void
  sendRepair(group: Group, wanted: SendRepair): void
  sendSnapshot(group: Group, wanted: SendSnapshot): void
  /** Puts term and vote, then calls `hardStateSaved`. */
  saveHardState(group: Group, wanted: SaveHardState): void
  /** The group's listener has something to hear, and its next tick may be another one. */
  changed(group: Group): void
  membershipChanged(group: Group): void
  /** Calls `advanceChange` at every tick, until it answers false. */
  watchChange(group: Group): void
  /** Asks a broker which replica of the group it has. */
  invite(group: Group, broker: BrokerId): void
  random(bound: number): number
}

export type SendEntries = Extract<Effect<Uint8Array>, { kind: 'sendEntries' }>
export type SendRepair = Extract<Effect<Uint8Array>, { kind: 'sendRepair' }>
export type SendSnapshot = Extract<Effect<Uint8Array>, { kind: 'sendSnapshot' }>
export type SaveHardState = Extract<Effect<Uint8Array>, { kind: 'saveHardState' }>

/** What a group is made of. */
export interface GroupParts {
  readonly key: GroupKey
  readonly request: GroupRequest
  readonly log: Log
  readonly replica: ReplicaId
  /** Number of the last unclean recovery that this life is of; 0: none. */
  readonly recovery: number
  readonly writes: GroupWrites
  readonly node: RaftNode<Uint8Array>
}
