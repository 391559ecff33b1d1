/**
 * What an unclean recovery of one group would do, and what it costs. Pure: from a survey to a plan that people can read and that
 * a digest can be made of.
 *
 *     healthy      it has a leader, or enough replicas to elect one: nothing may be recovered
 *     blocked      it cannot be said now; `reason` says what to wait for
 *     hopeless     nobody who is left holds anything
 *     recoverable  goes on from `survivor` when an operator agrees
 */
import { planRecovery, type SurvivorReport } from '@milena/raft'
import type { Leadership } from '../cluster/leadership/leader-table.ts'
import type { ReplicaReport } from '../replication/contract.ts'
import { brokerOf } from '../replication/kept/replica-ids.ts'
import type { Survey } from './survey.ts'
import { lossInWords } from './words.ts'

/** What is known besides the survey. */
export interface RecoverySubject {
  /** What an offset of the log counts. */
  readonly unit: 'record' | 'command'
  /** Number of the last recovery; 0: none. */
  readonly recovered: number
  /** What the last leader that was heard of said. */
  readonly leadership: Leadership | undefined
}

/** A replica that is left. Offsets `[startOffset, endOffset)`. */
export interface Survivor {
  readonly brokerId: number
  readonly replica: number
  readonly state: ReplicaReport['state']
  readonly term: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly commitIndex: number
  readonly startOffset: number
  readonly endOffset: number
  /** Everything below is committed, as far as it knows: after a restart that is little. */
  readonly committedOffset: number
  readonly damaged: boolean
}

export interface Recoverable {
  readonly kind: 'recoverable'
  /** Number of the recovery that this would be. */
  readonly recovery: number
  readonly term: number
  /** Broker whose log the group goes on with. */
  readonly survivor: number
  readonly survivors: readonly Survivor[]
  /** Voters that cannot be reached: whatever they acknowledged beyond the survivor's log is given up. */
  readonly lost: readonly number[]
  /** Voters that are up and hold nothing of use. */
  readonly unusable: readonly { readonly brokerId: number; readonly reason: string }[]
  /** Records that are kept: `[startOffset, endOffset)`. */
  readonly kept: { readonly startOffset: number; readonly endOffset: number }
  /** Everything below was committed, as far as anybody left knows. Above `kept.endOffset`: that much is lost for certain. */
  readonly knownCommittedOffset: number
  readonly lastLeader: {
    readonly brokerId: number
    readonly leaderEpoch: number
    readonly inSync: readonly number[]
  } | null
  /** What it means, one sentence each. */
  readonly words: readonly string[]
}

export type GroupPlan =
  { readonly kind: 'healthy' } | { readonly kind: 'blocked' | 'hopeless'; readonly reason: string } | Recoverable

export function planGroup(subject: RecoverySubject, found: Survey): GroupPlan {
  const { reports } = found
  // Others have not heard of the last recovery, or are about to carry it out.
  const present = reports.filter(({ recovery }) => recovery === subject.recovered)
  if (present.some(({ role }) => role === 'leader')) return { kind: 'healthy' }
  const sound = present.filter(({ state }) => state === 'sound')
  const plan = planRecovery(sound.flatMap(asRaftSees), subject.leadership?.term)
  if (plan.kind === 'quorum') return { kind: 'healthy' }
  const reason = whyNotNow(subject, found)
  if (reason !== undefined) return { kind: 'blocked', reason }
  if (plan.kind === 'nobody') return { kind: 'hopeless', reason: hopelessReason(found) }
  const best = sound.find(({ replica }) => replica === plan.survivor.id)!
  const { leadership } = subject
  const unlisted = plan.lost.map(brokerOf)
  const cost = {
    recovery: subject.recovered + 1,
    term: plan.term,
    survivor: best.brokerId,
    survivors: reports.map(shown),
    lost: unlisted.filter(id => found.unreachable.includes(id)),
    unusable: unlisted.flatMap(id => unusable(id, found)),
    kept: { startOffset: best.startOffset, endOffset: best.endOffset },
    // Who cannot go on may still know.
    knownCommittedOffset: Math.max(...present.map(({ committedOffset }) => committedOffset)),
    lastLeader:
      leadership === undefined || leadership.leader < 0
        ? null
        : { brokerId: leadership.leader, leaderEpoch: leadership.term, inSync: leadership.inSync }
  }
  return { kind: 'recoverable', ...cost, words: lossInWords(cost, subject.unit) }
}

function asRaftSees({ replica, term, last, commitIndex, membership }: ReplicaReport): SurvivorReport[] {
  return membership === undefined ? [] : [{ id: replica, term, last, commitIndex, membership }]
}

function whyNotNow({ recovered }: RecoverySubject, { reports, silent }: Survey): string | undefined {
  const [mute] = silent
  if (mute !== undefined) return `broker ${mute} is up and has not said yet what it holds: wait for it, or stop it`
  const busy = reports.find(({ state }) => state === 'writing')
  if (busy !== undefined) return `broker ${busy.brokerId} is still writing what it holds: ask again`
  const former = reports.find(({ recovery }) => recovery !== recovered)
  if (former !== undefined) return `broker ${former.brokerId} is about to carry out recovery ${recovered}: ask again`
  const follower = reports.find(({ follows }) => follows !== undefined)
  if (follower === undefined) return undefined
  return `broker ${follower.brokerId} can reach its leader, broker ${follower.follows}: ask that node, or wait`
}

function hopelessReason({ reports, unreachable }: Survey): string {
  const failed = reports.filter(({ state }) => state === 'failed').map(({ brokerId }) => brokerId)
  const parts = [
    unreachable.length > 0 ? `brokers ${unreachable.join(', ')} cannot be reached` : '',
    failed.length > 0 ? `the disks of brokers ${failed.join(', ')} failed` : '',
    reports.length > failed.length ? 'the others hold nothing of their own' : ''
  ]
  return `nobody is left to go on from: ${parts.filter(part => part !== '').join('; ')}`
}

function unusable(brokerId: number, found: Survey): { brokerId: number; reason: string }[] {
  if (found.unreachable.includes(brokerId)) return []
  const report = found.reports.find(other => other.brokerId === brokerId)
  if (report === undefined) return [{ brokerId, reason: 'it has no replica any more' }]
  if (report.state === 'failed') return [{ brokerId, reason: 'its disk failed' }]
  return [{ brokerId, reason: 'it lost what it held and waits to be let in anew' }]
}

function shown(report: ReplicaReport): Survivor {
  const { brokerId, replica, state, term, last, commitIndex, startOffset, endOffset, committedOffset, damaged } = report
  const { index: lastIndex, term: lastTerm } = last
  return {
    brokerId,
    replica,
    state,
    term,
    lastIndex,
    lastTerm,
    commitIndex,
    startOffset,
    endOffset,
    committedOffset,
    damaged
  }
}
