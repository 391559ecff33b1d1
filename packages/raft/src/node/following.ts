/**
 * What a follower does with what its leader sends. It answers `matched` only for what is durable and known to agree; while its
 * disk writes, the answer comes with `appended`.
 *
 * Log matching (section 5.3): an append fits when the log has the same term at `previous`. Entries that are held already are
 * passed over, from the first conflict on the log is cut (always at the start of an entry: up to there both logs have the same
 * ones) and replaced.
 */
import assert from 'node:assert'
import type { Entry, EntryId, Index } from '../entries.ts'
import type { ReplicaId } from '../membership.ts'
import type { Message } from '../messages.ts'
import { campaign } from './elections.ts'
import type { Replica } from './replica.ts'
import { becomeFollower } from './roles.ts'

type Received<Payload, Kind> = Extract<Message<Payload>, { readonly kind: Kind }>

/** A message that only the leader of this term sends. */
function hearLeader<Payload>(replica: Replica<Payload>, leader: ReplicaId): void {
  const { role } = replica
  assert(role.kind !== 'leader', 'a term has one leader')
  if (role.kind !== 'follower' || role.leader === undefined) becomeFollower(replica, replica.term, leader)
  else assert(role.leader === leader, 'a term has one leader')
  replica.electionElapsed = 0
  replica.quiescent = false
}

export function onAppend<Payload>(replica: Replica<Payload>, message: Received<Payload, 'append'>): void {
  hearLeader(replica, message.from)
  if (replica.installing !== undefined) return
  const { previous, entries } = message
  if (previous.index < replica.log.beforeIndex) {
    sendMatched(replica)
    return
  }
  if (!replica.log.holds(previous.index, previous.term)) {
    sendRejected(replica, message.from, previous)
    return
  }
  const end = endOfEntries(previous, entries, message.term)
  if (end === undefined) return
  const firstNew = entries.findIndex(entry => !replica.log.holds(entry.index, entry.term))
  if (replica.damage.any) repairFrom(replica, firstNew < 0 ? entries : entries.slice(0, firstNew))
  if (firstNew >= 0) takeEntries(replica, firstNew === 0 ? entries : entries.slice(firstNew), end)
  replica.agreedIndex = Math.max(replica.agreedIndex, end)
  replica.advanceCommit(Math.min(message.commitIndex, replica.agreedIndex))
  if (replica.log.durableIndex >= replica.agreedIndex) sendMatched(replica)
}

/** Last index that the entries cover, or undefined when they do not follow each other. */
function endOfEntries<Payload>(
  previous: EntryId,
  entries: readonly Entry<Payload>[],
  termMax: number
): Index | undefined {
  let end = previous.index
  let { term } = previous
  for (const entry of entries) {
    if (entry.index !== end + 1 || entry.term < term || entry.term > termMax) return undefined
    end = lastIndexOf(entry)
    term = entry.term
  }
  return end
}

/** Last index that an entry covers. */
export function lastIndexOf<Payload>(entry: Entry<Payload>): Index {
  return entry.kind === 'data' ? entry.index + entry.width - 1 : entry.index
}

/** Appends entries up to `end` of which the first is not held, cutting what stands in their place. */
function takeEntries<Payload>(replica: Replica<Payload>, entries: readonly Entry<Payload>[], end: Index): void {
  const { log, memberships } = replica
  const first = entries[0]!
  const conflicts = first.index <= log.lastIndex
  const rolledBack = conflicts && cutFrom(replica, first.index)
  for (const entry of entries) log.append(entry.term, lastIndexOf(entry))
  assert(log.lastIndex === end, 'entries follow the log')
  replica.emit({ kind: 'append', truncateFrom: conflicts ? first.index : undefined, entries })
  if (rolledBack && memberships.current !== undefined) {
    const { index, current: membership } = memberships
    replica.emit({ kind: 'membership', index, membership, committed: index <= replica.commitIndex })
  }
  for (const entry of entries) {
    if (entry.kind !== 'membership') continue
    const { index, membership } = entry
    memberships.append(index, membership)
    replica.emit({ kind: 'membership', index, membership, committed: false })
  }
}

/** Returns whether that took a membership out of force. */
function cutFrom<Payload>(replica: Replica<Payload>, index: Index): boolean {
  assert(index > replica.commitIndex, 'what is committed is never cut')
  replica.log.truncateFrom(index)
  replica.damage.removeBetween(index, Number.MAX_SAFE_INTEGER)
  return replica.memberships.truncateFrom(index)
}

/** Entries that are held, some of which may be damaged here: those, and what lies between. */
function repairFrom<Payload>(replica: Replica<Payload>, entries: readonly Entry<Payload>[]): void {
  const isDamaged = (entry: Entry<Payload>): boolean => replica.damage.touches(entry.index, lastIndexOf(entry) + 1)
  const first = entries.findIndex(isDamaged)
  if (first < 0) return
  replica.emit({ kind: 'repair', entries: entries.slice(first, entries.findLastIndex(isDamaged) + 1) })
}

function sendRejected<Payload>(replica: Replica<Payload>, to: ReplicaId, previous: EntryId): void {
  const { id: from, log, term, commitIndex } = replica
  let hint = log.lastNotAbove(previous.index, previous.term)
  if (hint.index < commitIndex) hint = { index: commitIndex, term: log.termAt(commitIndex)! }
  const rejectedIndex = previous.index
  replica.send({ kind: 'appendResponse', result: 'rejected', from, to, term, rejectedIndex, hint })
}

/** Tells the leader, if one is known, up to where this log agrees, durably. */
export function sendMatched<Payload>(replica: Replica<Payload>): void {
  const { id: from, leader: to, term } = replica
  if (to === undefined || to === from) return
  const matchIndex = replica.acknowledgedIndex
  replica.send({ kind: 'appendResponse', result: 'matched', from, to, term, matchIndex })
}

export function onCommitNotice<Payload>(replica: Replica<Payload>, message: Received<Payload, 'commit'>): void {
  hearLeader(replica, message.from)
  learnCommit(replica, message.commitIndex)
}

/** The leader knows that this log holds everything up to `commitIndex`, and agrees. */
function learnCommit<Payload>(replica: Replica<Payload>, commitIndex: Index): void {
  if (replica.installing === undefined) replica.advanceCommit(Math.min(commitIndex, replica.log.lastIndex))
}

export function onHeartbeat<Payload>(replica: Replica<Payload>, message: Received<Payload, 'heartbeat'>): void {
  hearLeader(replica, message.from)
  learnCommit(replica, message.commitIndex)
  if (message.quiesce && maySleep(replica)) {
    replica.quiescent = true
    return
  }
  const { id: from, term } = replica
  replica.send({ kind: 'heartbeatResponse', from, to: message.from, term, readSequence: message.readSequence })
}

/** Nothing is under way here. */
function maySleep<Payload>(replica: Replica<Payload>): boolean {
  const { log, commitIndex, damage, installing, forwardedReads } = replica
  if (damage.any || installing !== undefined || forwardedReads.length > 0 || !replica.isSaved) return false
  return log.lastIndex === commitIndex && log.durableIndex === commitIndex
}

export function onInstallSnapshot<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'installSnapshot'>
): void {
  hearLeader(replica, message.from)
  const { last } = message.snapshot
  if (replica.installing !== undefined) return
  const agrees = replica.log.holds(last.index, last.term)
  if (!(agrees && replica.damage.intactEnd <= last.index) && (agrees || last.index <= replica.commitIndex)) {
    replica.advanceCommit(last.index)
    sendMatched(replica)
    return
  }
  replica.installing = message.snapshot
  const entriesAfter = agrees ? 'kept' : 'dropped'
  replica.emit({ kind: 'installSnapshot', snapshot: message.snapshot, entriesAfter })
}

/** The host has replaced log and state by the snapshot. */
export function onSnapshotInstalled<Payload>(replica: Replica<Payload>, last: EntryId): void {
  const snapshot = replica.installing
  if (snapshot === undefined || snapshot.last.index !== last.index || snapshot.last.term !== last.term) return
  const { membership } = snapshot
  replica.installing = undefined
  if (replica.log.holds(last.index, last.term)) {
    onCompacted(replica, last)
    replica.advanceCommit(last.index)
    sendMatched(replica)
    return
  }
  replica.log.reset(last)
  replica.damage.removeBetween(0, Number.MAX_SAFE_INTEGER)
  replica.memberships.reset(last.index, membership)
  replica.commitIndex = last.index
  replica.agreedIndex = last.index
  replica.emit({ kind: 'commit', index: last.index })
  replica.emit({ kind: 'membership', index: last.index, membership, committed: true })
  sendMatched(replica)
}

/** Entries up to `before` were dropped: they need no repair. */
export function onCompacted<Payload>(replica: Replica<Payload>, before: EntryId): void {
  replica.log.compact(before)
  replica.damage.removeBetween(0, before.index + 1)
}

/** The leader hands over: stand at once. */
export function onTimeoutNow<Payload>(replica: Replica<Payload>, message: Received<Payload, 'timeoutNow'>): void {
  if (replica.role.kind === 'leader' || (replica.leader !== undefined && replica.leader !== message.from)) return
  campaign(replica, true)
}
