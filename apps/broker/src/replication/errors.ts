/** Errors of replicated logs. Expected outcomes are answers, not errors (`ProposeOutcome`). */
import type { BrokerId } from './contract.ts'

/** Asked for what only a leader can do. */
export class NotLeaderError extends Error {
  readonly code = 'NOT_LEADER'
  /** Who leads, if known. */
  readonly leader: BrokerId | undefined

  constructor(group: string, leader: BrokerId | undefined) {
    super(`${group} is not led here${leader === undefined ? '' : ` but by ${leader}`}`)
    this.name = 'NotLeaderError'
    this.leader = leader
  }
}
