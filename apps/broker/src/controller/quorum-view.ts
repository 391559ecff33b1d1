/** The controller's Raft group as DescribeQuorum shows it. */
import type { QuorumMember, QuorumView } from '@milena/gateway'
import type { Quorum } from './log/command-log.ts'
import { nodeOf, type ClusterState } from './metadata/cluster-state.ts'

/** Name of the listener that members reach each other on. */
export const RPC_LISTENER = 'RPC'

/** Times of followers are monotonic; `clock` turns them into wall-clock ms. */
export function quorumView(
  quorum: Quorum,
  state: ClusterState,
  clock: { now(): number; monotonic(): number }
): QuorumView {
  const wallMs = (monotonicMs: number): number =>
    monotonicMs < 0 ? -1 : Math.round(clock.now() - (clock.monotonic() - monotonicMs))
  const member = (replicaId: number): QuorumMember => {
    const directoryId = state.nodes.get(nodeOf(replicaId))?.instance ?? ''
    if (replicaId === quorum.self) {
      const now = clock.now()
      return { replicaId, directoryId, logEndOffset: quorum.endOffset, lastFetchMs: now, lastCaughtUpMs: now }
    }
    const known = quorum.followers.find(({ brokerId }) => brokerId === replicaId)
    return {
      replicaId,
      directoryId,
      logEndOffset: known?.matchOffset ?? -1,
      lastFetchMs: wallMs(known?.lastFetchMs ?? -1),
      lastCaughtUpMs: wallMs(known?.lastCaughtUpMs ?? -1)
    }
  }
  const { voters, learners } = quorum.membership
  return {
    kind: 'done',
    leaderId: quorum.leader ?? -1,
    leaderEpoch: quorum.term,
    highWatermark: quorum.committedOffset,
    voters: voters.map(member),
    observers: learners.map(member),
    nodes: voters.flatMap(id => {
      const rpc = state.nodes.get(nodeOf(id))?.rpc
      return rpc === undefined ? [] : [{ nodeId: id, listeners: [{ name: RPC_LISTENER, ...rpc }] }]
    })
  }
}
