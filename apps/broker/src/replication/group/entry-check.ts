/**
 * Looks at entries that another replica sent before they are stored: each batch is whole (its checksum is computed again) and has
 * the offsets that its index asks for. And at batches that were stored here, for what their checksum does not cover.
 */
import type { Message, RaftNode, Term } from '@milena/raft'
import { batchHeader } from '@milena/wire-protocol'
import type { Marks } from '../kept/marks.ts'
import type { GroupHost } from './group-host.ts'
import type { GroupWrites } from './group-writes.ts'

type EntriesMessage = Extract<Message<Uint8Array>, { kind: 'append' }>
type Room = Pick<GroupHost, 'refusesAppends' | 'writable'>

/** Room that each batch may take in the store besides its bytes. */
const BATCH_SLACK_BYTES = 64
/** Bytes of records that may wait for marks or room before more from a leader is dropped. */
const HELD_BYTES_MAX = 4 * 1024 * 1024

/**
 * What can be taken of a message now: all of it, its first entries when there is no room for more (a message may be larger than
 * all the memory that a follower has), or nothing when something about it is wrong. What is dropped comes again.
 */
export function takeable(
  message: EntriesMessage,
  writes: Pick<GroupWrites, 'marks' | 'bytesHeld'>,
  node: Pick<RaftNode<Uint8Array>, 'termAt'>,
  host: Room
): EntriesMessage | undefined {
  const bytes = checkEntries(message, writes.marks, node.termAt(message.previous.index))
  if (bytes === 0) return message
  if (bytes === undefined || host.refusesAppends || writes.bytesHeld > HELD_BYTES_MAX) return undefined
  return host.writable(bytes) ? message : firstEntries(message, host)
}

/**
 * Whether a batch that was read from disk says the epoch that the marks say: brokers stamp it, so its checksum does not cover it.
 * What is about to be cut is not judged: the marks are no longer its own.
 */
export function isOfItsTerm(bytes: Uint8Array, at: number, writes: Pick<GroupWrites, 'marks' | 'heldEnd'>): boolean {
  const baseOffset = batchHeader.baseOffset(bytes, at)
  if (baseOffset >= writes.heldEnd) return true
  const term = writes.marks.epochAt(baseOffset)
  return term === undefined || term === Math.max(0, batchHeader.leaderEpoch(bytes, at))
}

function firstEntries(message: EntriesMessage, host: Room): EntriesMessage | undefined {
  let bytes = 0
  let count = 0
  for (const entry of message.entries) {
    if (entry.kind === 'data') bytes += entry.payload.length + BATCH_SLACK_BYTES
    if (bytes > 0 && !host.writable(bytes)) break
    count++
  }
  return count === 0 ? undefined : { ...message, entries: message.entries.slice(0, count) }
}

/**
 * The room that the entries need, or undefined when something about them is wrong. `ownTerm`: of this log's entry at the
 * message's `previous`; where it differs, the logs do not agree there and offsets are not compared.
 */
function checkEntries(message: EntriesMessage, marks: Marks, ownTerm: Term | undefined): number | undefined {
  const { previous, entries } = message
  let bytes = 0
  let nextOffset = ownTerm === previous.term ? marks.endOffsetAt(previous.index) : undefined
  for (const entry of entries) {
    if (entry.kind !== 'data') continue
    const { payload } = entry
    if (batchHeader.magic(payload, 0) !== batchHeader.magicV2) return undefined
    if (batchHeader.computeCrc(payload, 0) !== batchHeader.crc(payload, 0)) return undefined
    const baseOffset = batchHeader.baseOffset(payload, 0)
    if (nextOffset !== undefined && baseOffset !== nextOffset) return undefined
    nextOffset = baseOffset + entry.width
    bytes += payload.length + BATCH_SLACK_BYTES
  }
  return bytes
}
