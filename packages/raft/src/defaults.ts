/**
 * The defaults of `RaftConfig`, for hosts to spread and change. What has no default is who the replica is and its source of
 * chance.
 */
import type { RaftConfig } from './contract.ts'

/** The values that contract.ts names beside each field. */
export const defaultRaftConfig: Omit<RaftConfig, 'id' | 'random'> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  priority: 100,
  quiesceTicks: 3,
  inflightCountMax: 64,
  inflightBytesMax: 8 * 1024 * 1024,
  appendBytesMax: 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024
}
