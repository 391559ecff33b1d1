/**
 * Commands: the only way to change the cluster's metadata. A command carries everything that was decided when it was planned
 * (ids, placement), so that applying it is pure. Each has a version of its own; a broker that does not know one stops instead
 * of guessing (`decodeCommand`).
 */
import type { NodeDescription, NodeMode, PartitionRecovery, PartitionState, TopicState } from './cluster-state.ts'

/** A partition by its topic's id. */
export interface PartitionKey {
  readonly topicId: string
  readonly partition: number
}

/** A partition and the replicas that it shall have, preferred leader first. */
export interface Move extends PartitionKey {
  readonly target: readonly number[]
}

/** A move whose target has the votes now, as the partition's leader reports it. */
export interface FinishedMove extends Move {
  /** `PartitionState.moveRevision` of what the leader did; absent from brokers that did not know it. */
  readonly moveRevision?: number
}

/** A partition that lost its quorum, and how it goes on. */
export interface Recovery extends PartitionKey, PartitionRecovery {}

/** Records that are deleted: those below an offset. */
export interface Deletion extends PartitionKey {
  /** At most the high watermark when it was planned. */
  readonly startOffset: number
  /** Number of the last unclean recovery of the partition that its leader knew; 0: none. Offsets of before may mean others now. */
  readonly recovery: number
}

export interface ConfigChange {
  /** A topic by id, the settings of all brokers, or those of a single one (from version 2 of the command on). */
  readonly resource:
    | { readonly type: 'topic'; readonly topicId: string }
    | { readonly type: 'cluster' }
    | { readonly type: 'broker'; readonly brokerId: number }
  /** Validated text by name. */
  readonly set: Readonly<Record<string, string>>
  /** Names that go back to their defaults. */
  readonly unset: readonly string[]
}

/** A change of the metadata, with everything that was decided. */
export type Command =
  /** The first command of a cluster; later ones change nothing. */
  | {
      readonly type: 'form-cluster'
      readonly version: 1
      readonly clusterId: string
      readonly founders: readonly NodeDescription[]
      readonly features: Readonly<Record<string, number>>
    }
  | { readonly type: 'register-node'; readonly version: 1; readonly node: NodeDescription }
  /** A registered node came back with another address, rack or more shards. */
  | { readonly type: 'update-node'; readonly version: 1; readonly node: NodeDescription }
  /** Refused in a mode that is not in `from` (absent: any), unless it is `mode`, and while another node is in maintenance. */
  | {
      readonly type: 'set-node-mode'
      readonly version: 1
      readonly nodeId: number
      readonly mode: NodeMode
      readonly from?: readonly NodeMode[]
    }
  /** Takes a node off the list; refused while it has replicas, and in a mode that is not in `from` (absent: any). */
  | {
      readonly type: 'remove-node'
      readonly version: 1
      readonly nodeId: number
      readonly from?: readonly NodeMode[]
    }
  | { readonly type: 'create-topics'; readonly version: 1; readonly topics: readonly TopicState[] }
  /** Adds partitions behind the existing ones, of which there must be `from`. */
  | {
      readonly type: 'create-partitions'
      readonly version: 1
      readonly topicId: string
      readonly from: number
      readonly partitions: readonly PartitionState[]
    }
  | { readonly type: 'delete-topics'; readonly version: 1; readonly topicIds: readonly string[] }
  | { readonly type: 'set-configs'; readonly version: 1 | 2; readonly changes: readonly ConfigChange[] }
  /** Replaces the target of a partition that is being reassigned already. */
  | { readonly type: 'start-reassignment'; readonly version: 1; readonly moves: readonly Move[] }
  /**
   * Its group's voters are the target now. Nothing when it goes elsewhere by then, or (from version 2 of the command on) when it is
   * another move, of the same target too: the voters may have been others in between.
   */
  | { readonly type: 'finish-reassignment'; readonly version: 1 | 2; readonly moves: readonly FinishedMove[] }
  | { readonly type: 'cancel-reassignment'; readonly version: 1; readonly partitions: readonly PartitionKey[] }
  /** An operator gives up what lost replicas held. Nothing for a partition whose next recovery has another number. */
  | { readonly type: 'recover-partitions'; readonly version: 1; readonly recoveries: readonly Recovery[] }
  /** Moves the start of partitions forward. Nothing for one that begins there or later, or was recovered since. */
  | { readonly type: 'delete-records'; readonly version: 1; readonly deletions: readonly Deletion[] }
  | { readonly type: 'allocate-producer-ids'; readonly version: 1; readonly count: number }
  | { readonly type: 'set-features'; readonly version: 1; readonly features: Readonly<Record<string, number>> }

/** Why a node was not registered, updated, given a mode or removed. */
export type NodeRefusal =
  'unknown-node' | 'other-instance' | 'fewer-shards' | 'has-replicas' | 'other-mode' | 'other-in-maintenance'

/** What applying a command led to. */
export type CommandResult =
  | { readonly type: 'form-cluster'; readonly formed: boolean }
  | { readonly type: 'register-node' | 'update-node' | 'set-node-mode' | 'remove-node'; readonly refused?: NodeRefusal }
  /** Ids of the topics that this command really created. */
  | { readonly type: 'create-topics'; readonly created: readonly string[] }
  | { readonly type: 'create-partitions'; readonly created: boolean }
  | { readonly type: 'delete-topics'; readonly deleted: readonly string[] }
  | { readonly type: 'set-configs' | 'set-features' }
  /** Partitions that the command really changed. */
  | {
      readonly type:
        'start-reassignment' | 'finish-reassignment' | 'cancel-reassignment' | 'recover-partitions' | 'delete-records'
      readonly changed: readonly PartitionKey[]
    }
  | { readonly type: 'allocate-producer-ids'; readonly firstId: number; readonly count: number }

/** Newest versions that this broker knows, of commands that have more than one. */
const NEWEST_VERSIONS: Partial<Record<Command['type'], number>> = { 'set-configs': 2, 'finish-reassignment': 2 }

export function encodeCommand(command: Command): Uint8Array {
  return Buffer.from(JSON.stringify(command))
}

/** Throws on a command of a newer version: an older broker must not guess. */
export function decodeCommand(bytes: Uint8Array): Command {
  const command = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as Command
  const newest = NEWEST_VERSIONS[command.type] ?? 1
  if (!(command.version >= 1 && command.version <= newest))
    throw new Error(`command ${command.type} has version ${String(command.version)}, this broker knows ${newest}`)
  return command
}
