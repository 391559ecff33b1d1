/**
 * Looks at entries that another replica sent before they are stored: each batch is whole (its checksum is computed again) and has
 * the offsets that its index asks for.
 */
import type { Message, RaftNode, Term } from '@milena/raft'
import { batchHeader } from '@milena/wire-protocol'
import type { Marks } from '../kept/marks.ts'
import type { GroupHost } from './group-host.ts'
import type { GroupWrites } from './group-writes.ts'

type EntriesMessage = Extract<Message<Uint8Array>, { kind: 'append' }>

/** Room that each batch may take in the store besides its bytes. */
const BATCH_SLACK_BYTES = 64
/** Bytes of records that may wait for marks or room before more from a leader is dropped. */
const HELD_BYTES_MAX = 4 * 1024 * 1024

/** Whether the entries of a message are whole, and there is room for them. Dropping them is allowed: they come again. */
export function canTake(
  message: EntriesMessage,
  writes: GroupWrites,
  node: RaftNode<Uint8Array>,
  host: GroupHost
): boolean {
  const bytes = checkEntries(message, writes.marks, node.termAt(message.previous.index))
  if (bytes === 0) return true
  if (bytes === undefined || host.refusesAppends) return false
  return host.writable(bytes) && writes.bytesHeld <= HELD_BYTES_MAX
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
