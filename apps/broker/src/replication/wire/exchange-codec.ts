/**
 * Messages between the hosts of two shards: all that one has to say to the other at the end of a turn, as one message.
 *
 *     head length u32 | head: Exchange of raft.proto | batches of records, for all messages in their order
 *
 * Batches travel as they are stored and are never encoded: the sender passes views of its cache, the receiver gets views of
 * what it received. A batch knows its own length, offsets and epoch, so only Raft's own entries are described in the head.
 *
 *     kind               first                 second    number       sequence     flag       entries, membership
 *     preVote, vote      last                                                      transfer
 *     ...Response                                                                  granted
 *     append             previous                        commitIndex                          entries
 *     matched            matchIndex
 *     rejected           rejectedIndex         hint
 *     heartbeat                                          commitIndex  readSequence quiesce
 *     heartbeatResponse                                               readSequence
 *     commit                                             commitIndex
 *     installSnapshot    last                                                                 membership
 *     readIndex                                                       request
 *     readReady          index                                        request
 *     readRefused                                                     request
 *     repairRequest      start, lastTerm                 end
 *     repairResponse     start                           end                                  entries
 *     join               (a replica that waits to be added: its id is `from`)
 *     invite             (a leader, `from`, wants that shard's replica and does not know it)
 */
import type { Entry, EntryId, Index, Membership, Message, ReplicaId, Term } from '@milena/raft'
import { batchHeader } from '@milena/wire-protocol'
import {
  bytesTag,
  doubleTag,
  fixed32Tag,
  messageEnd,
  readMembership,
  Reader,
  varintTag,
  writeMembership,
  Writer
} from './proto.ts'
import type { GroupKey } from './group-key.ts'

/** Numbers of the kinds on the wire; never reused. */
const kinds = {
  preVote: 1,
  preVoteResponse: 2,
  vote: 3,
  voteResponse: 4,
  append: 5,
  matched: 6,
  rejected: 7,
  heartbeat: 8,
  heartbeatResponse: 9,
  installSnapshot: 10,
  timeoutNow: 11,
  readIndex: 12,
  readReady: 13,
  readRefused: 14,
  repairRequest: 15,
  repairResponse: 16,
  join: 17,
  commit: 18,
  invite: 19
} as const

/** A mark on its way: an entry of Raft's own with its index. */
export interface PlacedMark {
  readonly index: Index
  readonly term: Term
  readonly membership: Membership | undefined
}

/** Entries as they are sent: marks, and the bytes of everything between them. */
export interface EntryRun {
  readonly marks: readonly PlacedMark[]
  readonly slices: readonly Uint8Array[]
  readonly byteCount: number
}

/** "I wait to be added to the group under this id." */
export interface Join {
  readonly kind: 'join'
  readonly from: ReplicaId
}

/** "A replica of yours is wanted: say who it is", from the leader. The answer is `join`. */
export interface Invite {
  readonly kind: 'invite'
  readonly from: ReplicaId
}

/** What is sent: a message of Raft's whose entries, if it has any, are given as a run. */
export type Outgoing = Message<Uint8Array> | Join | Invite

/** What arrived. Payloads are views of the received bytes. */
export interface Received {
  readonly group: GroupKey
  readonly message: Outgoing
}

const noRun: EntryRun = { marks: [], slices: [], byteCount: 0 }
const NO_ENTRY: EntryId = { index: 0, term: 0 }
const HEAD_LENGTH_BYTES = 4

/** Gathers the messages of one exchange. */
export class ExchangeWriter {
  #writer = Writer.create()
  #slices: Uint8Array[] = []
  #byteCount = 0
  #messageCount = 0

  get messageCount(): number {
    return this.#messageCount
  }

  /** Bytes of entries so far. */
  get byteCount(): number {
    return this.#byteCount
  }

  /** `run` holds the entries of an append or a repair; `message.entries` is not looked at. Slices must stay valid until `finish` was sent. */
  add(group: GroupKey, message: Outgoing, run: EntryRun = noRun): void {
    const writer = this.#writer
    this.#messageCount++
    writer.uint32(bytesTag(1)).fork()
    writer.uint32(doubleTag(1)).double(group.key)
    writer.uint32(fixed32Tag(2)).fixed32(group.check)
    writeMessage(writer, message)
    for (const mark of run.marks) writePlacedMark(writer, mark)
    if (run.byteCount > 0) writer.uint32(varintTag(13)).uint32(run.byteCount)
    writer.ldelim()
    for (const slice of run.slices) this.#slices.push(slice)
    this.#byteCount += run.byteCount
  }

  /** The parts of the message; the writer begins anew. */
  finish(): Uint8Array[] {
    const head = this.#writer.finish()
    const length = new Uint8Array(HEAD_LENGTH_BYTES)
    new DataView(length.buffer).setUint32(0, head.length)
    const parts = [length, head, ...this.#slices]
    this.#writer = Writer.create()
    this.#slices = []
    this.#byteCount = 0
    this.#messageCount = 0
    return parts
  }
}

function writeMessage(writer: Writer, message: Outgoing): void {
  if (message.kind === 'join' || message.kind === 'invite') {
    writer.uint32(varintTag(3)).uint32(kinds[message.kind])
    writer.uint32(doubleTag(4)).double(message.from)
    return
  }
  const begin = (kind: number): void => {
    writer.uint32(varintTag(3)).uint32(kind)
    writer.uint32(doubleTag(4)).double(message.from)
    writer.uint32(doubleTag(5)).double(message.to)
    writer.uint32(varintTag(6)).uint32(message.term)
  }
  const entry = (field: number, { index, term }: EntryId): void => {
    writer.uint32(bytesTag(field)).fork()
    writer.uint32(doubleTag(1)).double(index)
    writer.uint32(varintTag(2)).uint32(term)
    writer.ldelim()
  }
  const number = (value: number): void => void writer.uint32(doubleTag(9)).double(value)
  const sequence = (value: number): void => void (value !== 0 && writer.uint32(doubleTag(10)).double(value))
  const flag = (value: boolean): void => void (value && writer.uint32(varintTag(11)).bool(true))
  switch (message.kind) {
    case 'preVote':
      begin(kinds.preVote)
      return entry(7, message.last)
    case 'vote':
      begin(kinds.vote)
      entry(7, message.last)
      return flag(message.transfer)
    case 'preVoteResponse':
      begin(kinds.preVoteResponse)
      return flag(message.granted)
    case 'voteResponse':
      begin(kinds.voteResponse)
      return flag(message.granted)
    case 'append':
      begin(kinds.append)
      entry(7, message.previous)
      return number(message.commitIndex)
    case 'appendResponse':
      begin(message.result === 'matched' ? kinds.matched : kinds.rejected)
      if (message.result === 'matched') return entry(7, { index: message.matchIndex, term: 0 })
      entry(7, { index: message.rejectedIndex, term: 0 })
      return entry(8, message.hint)
    case 'heartbeat':
      begin(kinds.heartbeat)
      number(message.commitIndex)
      sequence(message.readSequence)
      return flag(message.quiesce)
    case 'commit':
      begin(kinds.commit)
      return number(message.commitIndex)
    case 'heartbeatResponse':
      begin(kinds.heartbeatResponse)
      return sequence(message.readSequence)
    case 'installSnapshot':
      begin(kinds.installSnapshot)
      entry(7, message.snapshot.last)
      return writeMembership(writer, 14, message.snapshot.membership)
    case 'timeoutNow':
      return begin(kinds.timeoutNow)
    case 'readIndex':
      begin(kinds.readIndex)
      return sequence(message.request)
    case 'readIndexResponse':
      begin(message.result === 'ready' ? kinds.readReady : kinds.readRefused)
      sequence(message.request)
      if (message.result === 'ready') entry(7, { index: message.index, term: 0 })
      return
    case 'repairRequest':
      begin(kinds.repairRequest)
      entry(7, { index: message.range.start, term: message.lastTerm })
      return number(message.range.end)
    case 'repairResponse':
      begin(kinds.repairResponse)
      entry(7, { index: message.range.start, term: 0 })
      return number(message.range.end)
  }
}

function writePlacedMark(writer: Writer, { index, term, membership }: PlacedMark): void {
  writer.uint32(bytesTag(12)).fork()
  writer.uint32(doubleTag(1)).double(index)
  writer.uint32(varintTag(2)).uint32(term)
  if (membership !== undefined) writeMembership(writer, 3, membership)
  writer.ldelim()
}

/**
 * Messages of an exchange, in order, those of kinds that are not known here left out. Throws `RangeError` when `bytes` are not an
 * exchange. The checksums of batches are not looked at.
 */
export function readExchange(bytes: Uint8Array): Received[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headEnd = bytes.length < HEAD_LENGTH_BYTES ? Infinity : HEAD_LENGTH_BYTES + view.getUint32(0)
  if (headEnd > bytes.length) throw new RangeError('an exchange is cut off')
  const reader = Reader.create(bytes.subarray(HEAD_LENGTH_BYTES, headEnd))
  const received: Received[] = []
  let blobAt = headEnd
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag !== bytesTag(1)) {
      reader.skipType(tag & 7)
      continue
    }
    const fields = readFields(reader, messageEnd(reader))
    const blobEnd = blobAt + fields.entriesBytes
    if (blobEnd > bytes.length) throw new RangeError('the entries of an exchange are cut off')
    const message = toMessage(fields, bytes.subarray(blobAt, blobEnd))
    blobAt = blobEnd
    if (message !== undefined) received.push({ group: { key: fields.key, check: fields.check }, message })
  }
  return received
}

interface Fields {
  key: number
  check: number
  kind: number
  from: number
  to: number
  term: number
  first: EntryId
  second: EntryId
  number: number
  sequence: number
  flag: boolean
  marks: PlacedMark[]
  entriesBytes: number
  membership: Membership | undefined
}

function readFields(reader: Reader, end: number): Fields {
  const fields: Fields = {
    key: 0,
    check: 0,
    kind: 0,
    from: 0,
    to: 0,
    term: 0,
    first: NO_ENTRY,
    second: NO_ENTRY,
    number: 0,
    sequence: 0,
    flag: false,
    marks: [],
    entriesBytes: 0,
    membership: undefined
  }
  while (reader.pos < end) {
    const tag = reader.uint32()
    switch (tag) {
      case doubleTag(1):
        fields.key = reader.double()
        break
      case fixed32Tag(2):
        fields.check = reader.fixed32()
        break
      case varintTag(3):
        fields.kind = reader.uint32()
        break
      case doubleTag(4):
        fields.from = reader.double()
        break
      case doubleTag(5):
        fields.to = reader.double()
        break
      case varintTag(6):
        fields.term = reader.uint32()
        break
      case bytesTag(7):
        fields.first = readPlace(reader)
        break
      case bytesTag(8):
        fields.second = readPlace(reader)
        break
      case doubleTag(9):
        fields.number = reader.double()
        break
      case doubleTag(10):
        fields.sequence = reader.double()
        break
      case varintTag(11):
        fields.flag = reader.bool()
        break
      case bytesTag(12):
        fields.marks.push(readPlace(reader))
        break
      case varintTag(13):
        fields.entriesBytes = reader.uint32()
        break
      case bytesTag(14):
        fields.membership = readMembership(reader)
        break
      default:
        reader.skipType(tag & 7)
    }
  }
  return fields
}

function readPlace(reader: Reader): PlacedMark {
  const end = messageEnd(reader)
  let index = 0
  let term = 0
  let membership: Membership | undefined
  while (reader.pos < end) {
    const tag = reader.uint32()
    if (tag === doubleTag(1)) index = reader.double()
    else if (tag === varintTag(2)) term = reader.uint32()
    else if (tag === bytesTag(3)) membership = readMembership(reader)
    else reader.skipType(tag & 7)
  }
  return { index, term, membership }
}

function toMessage(fields: Fields, blob: Uint8Array): Outgoing | undefined {
  const { from, to, term, flag, sequence } = fields
  const envelope = { from, to, term }
  const first = { index: fields.first.index, term: fields.first.term }
  const second = { index: fields.second.index, term: fields.second.term }
  const range = { start: first.index, end: fields.number }
  switch (fields.kind) {
    case kinds.preVote:
      return { ...envelope, kind: 'preVote', last: first }
    case kinds.preVoteResponse:
      return { ...envelope, kind: 'preVoteResponse', granted: flag }
    case kinds.vote:
      return { ...envelope, kind: 'vote', last: first, transfer: flag }
    case kinds.voteResponse:
      return { ...envelope, kind: 'voteResponse', granted: flag }
    case kinds.append: {
      const entries = readEntries(first.index + 1, fields.marks, blob)
      return { ...envelope, kind: 'append', previous: first, entries, commitIndex: fields.number }
    }
    case kinds.matched:
      return { ...envelope, kind: 'appendResponse', result: 'matched', matchIndex: first.index }
    case kinds.rejected:
      return { ...envelope, kind: 'appendResponse', result: 'rejected', rejectedIndex: first.index, hint: second }
    case kinds.heartbeat:
      return { ...envelope, kind: 'heartbeat', commitIndex: fields.number, readSequence: sequence, quiesce: flag }
    case kinds.commit:
      return { ...envelope, kind: 'commit', commitIndex: fields.number }
    case kinds.heartbeatResponse:
      return { ...envelope, kind: 'heartbeatResponse', readSequence: sequence }
    case kinds.installSnapshot: {
      const { membership } = fields
      if (membership === undefined) throw new RangeError('a snapshot without membership')
      return { ...envelope, kind: 'installSnapshot', snapshot: { last: first, membership } }
    }
    case kinds.timeoutNow:
      return { ...envelope, kind: 'timeoutNow' }
    case kinds.readIndex:
      return { ...envelope, kind: 'readIndex', request: sequence }
    case kinds.readReady:
      return { ...envelope, kind: 'readIndexResponse', request: sequence, result: 'ready', index: first.index }
    case kinds.readRefused:
      return { ...envelope, kind: 'readIndexResponse', request: sequence, result: 'notLeader' }
    case kinds.repairRequest:
      return { ...envelope, kind: 'repairRequest', range, lastTerm: first.term }
    case kinds.repairResponse:
      return { ...envelope, kind: 'repairResponse', range, entries: readEntries(range.start, fields.marks, blob) }
    case kinds.join:
      return { kind: 'join', from }
    case kinds.invite:
      return { kind: 'invite', from }
    default:
      return undefined
  }
}

/** Puts marks and batches together again: a mark where its index is, batches one after the other everywhere else. */
function readEntries(start: Index, marks: readonly PlacedMark[], blob: Uint8Array): Entry<Uint8Array>[] {
  const entries: Entry<Uint8Array>[] = []
  let index = start
  let at = 0
  let nextMark = 0
  while (at < blob.length || nextMark < marks.length) {
    const mark = marks[nextMark]
    if (mark !== undefined && mark.index === index) {
      const { term, membership } = mark
      entries.push(
        membership === undefined ? { kind: 'noop', index, term } : { kind: 'membership', index, term, membership }
      )
      nextMark++
      index++
      continue
    }
    const length = at + batchHeader.headerBytes <= blob.length ? batchHeader.totalBytes(blob, at) : 0
    if (length < batchHeader.headerBytes || at + length > blob.length)
      throw new RangeError('the entries of a message are not whole batches')
    const width = batchHeader.lastOffsetDelta(blob, at) + 1
    if (width < 1) throw new RangeError('a batch without records')
    const payload = blob.subarray(at, at + length)
    entries.push({ kind: 'data', index, term: batchHeader.leaderEpoch(blob, at), payload, width, bytes: length })
    at += length
    index += width
  }
  return entries
}
