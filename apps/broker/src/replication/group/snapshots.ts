/**
 * Handing a group's snapshot to a replica that needs entries which are gone: one call of the peer network carries all of it.
 *
 * What the receiver then has: an empty log that goes on at the snapshot's offset, the number of marks before it, the term and
 * membership as of there, and the state of whoever takes snapshots.
 */
import type { EntryId, Term } from '@milena/raft'
import type { PeerNetwork } from '@milena/shard-scheduler'
import { brokerOf } from '../kept/replica-ids.ts'
import type { SendSnapshot } from './group-host.ts'
import type { Group } from './group.ts'
import type { GroupKey } from '../wire/group-key.ts'
import { Marks } from '../kept/marks.ts'
import {
  bytesTag,
  doubleTag,
  fixed32Tag,
  messageEnd,
  readMarks,
  Reader,
  varintTag,
  writeMarks,
  Writer
} from '../wire/proto.ts'

export const SNAPSHOT_SERVICE = 'raft.snapshot'

/** How long a snapshot may be on its way. */
const SNAPSHOT_DEADLINE_MS = 30_000

export interface SnapshotTransfer {
  readonly group: GroupKey
  readonly from: number
  readonly to: number
  readonly term: Term
  /** Its base is the last entry covered; no items. */
  readonly marks: Marks
  /** Empty when the group takes no snapshots. */
  readonly data: Uint8Array
}

/** The snapshot of a group that this shard leads; undefined when there is none that covers index `atLeast`. */
function takeSnapshot(group: Group, to: number, term: Term, atLeast: number): SnapshotTransfer | undefined {
  const { marks } = group.writes
  const taken = group.request.snapshot?.take(marks.base.offset)
  const offset = taken?.offset ?? marks.base.offset
  if (offset < marks.base.offset || offset > group.committedOffset) return undefined
  const covered = new Marks(marks.compactedTo(offset).base, [])
  if (covered.before.index < atLeast || covered.base.membership === undefined) return undefined
  const data = taken?.bytes ?? new Uint8Array(0)
  return { group: group.key, from: group.replica, to, term, marks: covered, data }
}

/**
 * Hands a snapshot over. Resolves with the last entry that it covers once the receiver has it, with undefined when that did not
 * come about; undefined at once when there is no snapshot to be had.
 */
export function handOver(
  group: Group,
  { to, term, atLeast }: SendSnapshot,
  network: PeerNetwork,
  log: { info(fields: object, message: string): void }
): Promise<EntryId | undefined> | undefined {
  const transfer = takeSnapshot(group, to, term, atLeast)
  if (transfer === undefined) return undefined
  log.info({ group: group.name, to: brokerOf(to), offset: transfer.marks.base.offset }, 'sending a snapshot')
  const options = { deadlineMs: SNAPSHOT_DEADLINE_MS }
  return network.call(brokerOf(to), SNAPSHOT_SERVICE, encodeTransfer(transfer), options).then(
    () => coveredBy(transfer),
    () => undefined
  )
}

/** It is for the present life of this replica, from the shard that holds the one that sent it. */
export function isMeantFor(
  { group, from, to }: SnapshotTransfer,
  receiver: Group,
  sender: number | undefined
): boolean {
  return receiver.key.check === group.check && brokerOf(from) === sender && to === receiver.replica
}

/** The last entry that a snapshot covers. */
export const coveredBy = (transfer: SnapshotTransfer): EntryId => transfer.marks.before

export function encodeTransfer(transfer: SnapshotTransfer): Uint8Array {
  const writer = Writer.create()
  writer.uint32(doubleTag(1)).double(transfer.group.key)
  writer.uint32(fixed32Tag(2)).fixed32(transfer.group.check)
  writer.uint32(doubleTag(3)).double(transfer.from)
  writer.uint32(doubleTag(4)).double(transfer.to)
  writer.uint32(varintTag(5)).uint32(transfer.term)
  writeMarks(writer, transfer.marks, 6)
  writer.uint32(bytesTag(7)).bytes(transfer.data)
  return writer.finish()
}

/** `data` is a copy. Throws `RangeError` on bytes that are no transfer. */
export function decodeTransfer(bytes: Uint8Array): SnapshotTransfer {
  const reader = Reader.create(bytes)
  let key = 0
  let check = 0
  let from = 0
  let to = 0
  let term = 0
  let marks = Marks.bootstrap(undefined)
  let data: Uint8Array = new Uint8Array(0)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === doubleTag(1)) key = reader.double()
    else if (tag === fixed32Tag(2)) check = reader.fixed32()
    else if (tag === doubleTag(3)) from = reader.double()
    else if (tag === doubleTag(4)) to = reader.double()
    else if (tag === varintTag(5)) term = reader.uint32()
    else if (tag === bytesTag(6)) marks = readMarks(reader, messageEnd(reader))
    else if (tag === bytesTag(7)) data = new Uint8Array(reader.bytes())
    else reader.skipType(tag & 7)
  }
  return { group: { key, check }, from, to, term, marks, data }
}
