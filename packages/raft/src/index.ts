/**
 * Raft as a pure state machine: inputs in, effects out, no I/O, no clock, no randomness of its own.
 *
 * What is here: the contract (`RaftNode`, its messages, effects, configuration and status) and the arithmetic of majorities,
 * simple and joint. The state machine behind the contract is not written yet: nothing in this package elects or replicates.
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
