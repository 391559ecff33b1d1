/**
 * Raft as a pure state machine: inputs in, effects out, no I/O, no clock, no randomness of its own. `openRaftNode` opens a
 * replica; contract.ts says what it is asked and told, effects.ts what it wants done and when to report.
 */
export type { OpenRaftNode, Outcome, Progress, Proposal, RaftConfig, RaftNode, RaftStatus, Role } from './contract.ts'
export type { Effect, GiveUpReason } from './effects.ts'
export type {
  Entry,
  EntryId,
  HardState,
  Index,
  IndexRange,
  RecoveredLog,
  SnapshotMeta,
  Term,
  TermStarts
} from './entries.ts'
export { defaultRaftConfig } from './defaults.ts'
export { openRaftNode } from './node/raft-node.ts'
export { voterSets, type Membership, type ReplicaId } from './membership.ts'
export type {
  Append,
  AppendResponse,
  Commit,
  Envelope,
  Heartbeat,
  HeartbeatResponse,
  InstallSnapshot,
  Message,
  PreVote,
  PreVoteResponse,
  ReadIndex,
  ReadIndexResponse,
  RepairRequest,
  RepairResponse,
  TimeoutNow,
  Vote,
  VoteResponse
} from './messages.ts'
export { committedIndex, majorityOf, voteResult, type VoteResult } from './quorum.ts'
export {
  planRecovery,
  recoverReplica,
  RECOVERY_TERM_STEP,
  type RecoveredReplica,
  type RecoveryPlan,
  type SurvivorReport
} from './recovery.ts'
