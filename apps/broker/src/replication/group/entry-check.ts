/**
 * Looks at entries that another replica sent before they are stored: each batch is whole (its checksum is computed again) and has
 * the offsets that its index asks for.
 */
import type { Message, Term } from '@milena/raft'
import { batchHeader } from '@milena/wire-protocol'
import type { Marks } from '../kept/marks.ts'

export type EntriesMessage = Extract<Message<Uint8Array>, { kind: 'append' }>

/** Room that each batch may take in the store besides its bytes. */
const BATCH_SLACK_BYTES = 64

/**
 * The room that the entries need, or undefined when something about them is wrong. `ownTerm`: of this log's entry at the
 * message's `previous`; where it differs, the logs do not agree there and offsets are not compared.
 */
export function checkEntries(message: EntriesMessage, marks: Marks, ownTerm: Term | undefined): number | undefined {
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
