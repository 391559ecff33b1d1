/** What a replica says of itself when somebody asks what is left of its group. */
import type { Membership, RaftNode, ReplicaId } from '@milena/raft'
import type { LogStore } from '@milena/storage-engine'
import type { BrokerId, ReplicaReport } from '../contract.ts'
import { brokerOf } from '../kept/replica-ids.ts'
import type { GroupWrites } from './group-writes.ts'

/** What a report is made of. */
export interface ReportedGroup {
  readonly self: BrokerId
  readonly replica: ReplicaId
  readonly recovery: number
  readonly node: RaftNode<Uint8Array>
  readonly writes: GroupWrites
  readonly role: ReplicaReport['role']
  readonly log: { readonly startOffset: number }
}

/** Of each of these groups that is open. */
export function reportsOf(
  names: readonly string[],
  groups: ReadonlyMap<string, ReportedGroup>,
  store: LogStore,
  isReachable: (broker: BrokerId) => boolean
): Map<string, ReplicaReport> {
  const failed = store.failure !== undefined
  const damaged = new Set(store.status().damage.map(({ log }) => log))
  const found = new Map<string, ReplicaReport>()
  for (const name of names) {
    const group = groups.get(name)
    if (group !== undefined) found.set(name, reportOf(group, { failed, damaged: damaged.has(name), isReachable }))
  }
  return found
}

function reportOf(
  group: ReportedGroup,
  { failed, damaged, isReachable }: { failed: boolean; damaged: boolean; isReachable: (broker: BrokerId) => boolean }
): ReplicaReport {
  const { node, writes, self, replica, recovery, role } = group
  const { marks, durable } = writes
  const { membership, leader, commitIndex } = node
  const last = durable ?? marks.before
  const leaderBroker = leader === undefined ? undefined : brokerOf(leader)
  const follows = leaderBroker !== undefined && isReachable(leaderBroker) ? leaderBroker : undefined
  return {
    brokerId: self,
    replica,
    state: failed ? 'failed' : stateOf(group),
    role,
    follows,
    term: node.term,
    last,
    commitIndex,
    membership,
    startOffset: group.log.startOffset,
    endOffset: marks.endOffsetAt(last.index),
    committedOffset: marks.endOffsetAt(commitIndex),
    damaged,
    recovery
  }
}

function stateOf({ node, writes, replica }: ReportedGroup): 'sound' | 'writing' | 'void' {
  if (isOutside(node.membership, replica)) return 'void'
  return writes.isSettled ? 'sound' : 'writing'
}

/** Tells those of these groups of which the store cannot read something. */
export function tellDamage(
  store: LogStore,
  groups: ReadonlyMap<string, { readonly log: { readonly startOffset: number }; noteDamage(): void }>
): void {
  for (const { log, endOffset } of store.status().damage) {
    const group = groups.get(log)
    if (group !== undefined && endOffset > group.log.startOffset) group.noteDamage()
  }
}

/** It waits to be added. */
function isOutside(membership: Membership | undefined, replica: ReplicaId): boolean {
  if (membership === undefined) return true
  const { learners } = membership
  const voters = membership.kind === 'simple' ? membership.voters : [...membership.incoming, ...membership.outgoing]
  return !voters.includes(replica) && !learners.includes(replica)
}
