/** What a proposal comes to, as constants: proposing is done for every batch that is produced. */
import type { ProposeOutcome } from '../contract.ts'

export const PROPOSED: ProposeOutcome = { kind: 'proposed' }
export const FULL: ProposeOutcome = { kind: 'full' }
export const OVERLOADED: ProposeOutcome = { kind: 'overloaded' }
export const FAILED: ProposeOutcome = { kind: 'failed' }
