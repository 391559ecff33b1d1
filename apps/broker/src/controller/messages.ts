/**
 * What controller and shards say to each other over the mesh: JSON, because there is little of it and it is read by people
 * who debug. Maps of the state travel as snapshots; numbers are safe integers.
 */
import { fromSnapshot, toSnapshot, type ClusterState, type StateSnapshot } from './cluster-state.ts'
import type { Command } from './commands.ts'

/** Services of the controller (shard 0). */
export const controllerServices = {
  snapshot: 'controller.snapshot',
  createTopics: 'controller.create-topics',
  deleteTopics: 'controller.delete-topics',
  allocateProducerIds: 'controller.allocate-producer-ids'
} as const

/** Services of every shard's copy of the metadata. */
export const replicaServices = { apply: 'metadata.apply' } as const

/** A command that is durable, and the revision it leads to. */
export interface AppliedCommand {
  readonly revision: number
  readonly command: Command
}

export function encodeMessage(message: unknown): Uint8Array {
  return Buffer.from(
    JSON.stringify(message, (_, value: unknown) => (isState(value) ? { $state: toSnapshot(value) } : value))
  )
}

export function decodeMessage<T>(bytes: Uint8Array): T {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  return JSON.parse(text, (_, value: unknown) => {
    const wrapped = value as { $state?: StateSnapshot } | null
    return typeof value === 'object' && wrapped?.$state !== undefined ? fromSnapshot(wrapped.$state) : value
  }) as T
}

function isState(value: unknown): value is ClusterState {
  return typeof value === 'object' && value !== null && 'topicsById' in value && value.topicsById instanceof Map
}
