/**
 * Repair of damaged entries from peers. The replica remembers the terms of what it cannot read; a peer that has the same term
 * at the end of the damaged range has the same entries (log matching), so what it sends are the same ones, committed or not.
 */
import type { IndexRange } from '../entries.ts'
import type { Message } from '../messages.ts'
import { lastIndexOf, sendMatched } from './following.ts'
import { membersOf } from './membership-history.ts'
import type { Replica } from './replica.ts'
import { sendSnapshot } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { handOver } from './transfer.ts'

type Received<Payload, Kind> = Extract<Message<Payload>, { readonly kind: Kind }>

export function onDamageFound<Payload>(replica: Replica<Payload>, range: IndexRange): void {
  const { log, role } = replica
  const start = Math.max(range.start, log.beforeIndex + 1)
  const end = Math.min(range.end, log.durableIndex + 1)
  if (start >= end) return
  replica.damage.add({ start, end })
  replica.dropHeldAnswers()
  replica.repairTicksLeft = 0
  replica.quiescent = false
  if (role.kind === 'leader') handOver(replica, role)
  if (role.kind !== 'follower') becomeFollower(replica, replica.term, undefined)
}

export function tickRepair<Payload>(replica: Replica<Payload>, count: number): void {
  const damaged = replica.damage.first
  const { memberships, id: from, term, log } = replica
  // A snapshot under way stands for what is damaged, too.
  if (damaged === undefined || replica.installing !== undefined) return
  replica.repairTicksLeft -= count
  if (replica.repairTicksLeft > 0) return
  replica.repairTicksLeft = replica.config.electionTicks
  // In turn the leader, who is there also when this replica knows only memberships of the past, and the others.
  const others = memberships.current === undefined ? [] : membersOf(memberships.current).filter(id => id !== from)
  const attempt = replica.repairAttempts++
  const to = attempt % 2 === 0 && replica.leader !== undefined ? replica.leader : others[(attempt >> 1) % others.length]
  if (to === undefined) return
  const lastTerm = log.termAt(damaged.end - 1)!
  replica.send({ kind: 'repairRequest', from, to, term, range: damaged, lastTerm })
}

export function onRepairRequest<Payload>(replica: Replica<Payload>, message: Received<Payload, 'repairRequest'>): void {
  const { id: from, term, log, damage, role } = replica
  const { from: to, range, lastTerm } = message
  const peer = role.kind === 'leader' && range.start <= log.beforeIndex ? role.peers.get(to) : undefined
  if (peer !== undefined) {
    // Dropped here: what stands for it is a snapshot.
    if (peer.state.kind !== 'snapshot') sendSnapshot(replica, peer, log.beforeIndex)
    return
  }
  const end = Math.min(range.end, damage.intactEnd)
  const same =
    replica.installing === undefined && log.holds(range.end - 1, lastTerm) && range.end - 1 <= log.durableIndex
  // What the host sends tells the term, so it must be durable.
  if (same && replica.isSaved && range.start > log.beforeIndex && range.start < end) {
    replica.emit({ kind: 'sendRepair', to, term, range: { start: range.start, end } })
  } else replica.send({ kind: 'repairResponse', from, to, term, range, entries: [] })
}

export function onRepairResponse<Payload>(
  replica: Replica<Payload>,
  message: Received<Payload, 'repairResponse'>
): void {
  const { damage, log } = replica
  const { entries } = message
  const first = entries[0]
  const damaged = damage.first
  if (first === undefined || damaged === undefined || first.index !== damaged.start) return
  if (replica.installing !== undefined) return
  let next = first.index
  for (const entry of entries) {
    if (entry.index !== next || !log.holds(entry.index, entry.term)) return
    next = lastIndexOf(entry) + 1
  }
  if (next <= damaged.end) replica.emit({ kind: 'repair', entries })
}

/** The entries that cover `range` are whole again; others may have been found damaged meanwhile. */
export function onRepaired<Payload>(replica: Replica<Payload>, range: IndexRange): void {
  if (!replica.damage.any) return
  replica.damage.removeBetween(range.start, range.end)
  replica.repairTicksLeft = 0
  sendMatched(replica)
}
