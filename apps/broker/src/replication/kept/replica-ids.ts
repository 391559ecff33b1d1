/**
 * Ids of replicas. Raft asks that an id belongs to one memory for ever: a replica that forgot its votes or its log must not
 * come back under the id that made promises. A shard's broker id stays, so a replica's id is the broker id and an *incarnation*
 * of this replica on it:
 *
 *     replica id = incarnation * 2^31 + broker id
 *
 * Replicas that a group begins with (its bootstrap) have incarnation 0. Every other life of a replica (added later, came back
 * after it was removed, lost its state) draws a random incarnation, tells the group's leader, and becomes a member under it.
 */
import type { ReplicaId } from '@milena/raft'
import type { BrokerId } from '../contract.ts'

const BROKER_IDS = 2 ** 31
/** Incarnations are drawn from `[1, INCARNATION_COUNT)`, so that ids stay safe integers. */
const INCARNATION_COUNT = 2 ** 21

/** The broker id of the shard that holds a replica. */
export function brokerOf(replica: ReplicaId): BrokerId {
  return replica % BROKER_IDS
}

/** The id of a replica that its group began with. */
export function firstReplicaId(broker: BrokerId): ReplicaId {
  return broker
}

/** An id for a new life of a replica on `broker`. `random` draws an integer in `[0, bound)`. */
export function newReplicaId(broker: BrokerId, random: (bound: number) => number): ReplicaId {
  return (1 + random(INCARNATION_COUNT - 1)) * BROKER_IDS + broker
}
