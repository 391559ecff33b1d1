/**
 * Handing what a replica holds to another shard of its node, which is about to get a replica of the same group: the segments by
 * name (`LogStore.offerLog`), and what Raft must know of them.
 *
 *     shard that has it                                            shard that shall have it
 *     sealed segments that are committed whole ──files, marks──►   log of those files, marks, a replica id that never promised
 *                                                                  anything: one transaction
 *                                                                  then it waits to be added, as a learner that lacks the rest
 *
 * Only what is committed is offered: every later leader has it, so the new replica never has to give any of it back, and a prefix
 * of a log is what any learner has that was away for a while.
 */
import type { ReplicaId } from '@milena/raft'
import type { Scheduler } from '@milena/shard-scheduler'
import { StoreError, type LogOffer, type LogStore } from '@milena/storage-engine'
import type { BrokerId, GroupRequest, OfferOutcome, ReplicaOffer } from '../contract.ts'
import type { GroupWrites } from '../group/group-writes.ts'
import type { ReplicationLog } from '../host/host-options.ts'
import {
  decodeMarks,
  encodeMarks,
  encodePromised,
  encodeRecovery,
  installKey,
  marksKey,
  readGroupState,
  recoveryKey,
  voidKey,
  voteKey
} from '../kept/group-state.ts'
import { newReplicaId } from '../kept/replica-ids.ts'

/** How long an offer waits for what was appended before it to be committed, ms, and how often it looks. */
const COMMIT_WAIT_MS = 1_000
const COMMIT_POLL_MS = 10

/** What an offer needs of the group's replica. */
export interface OfferingReplica {
  readonly name: string
  readonly replica: ReplicaId
  readonly nextLife: ReplicaId | undefined
  readonly recovery: number
  readonly committedOffset: number
  readonly writes: GroupWrites
  readonly log: { readonly startOffset: number; readonly endOffset: number }
}

export interface OfferingOptions {
  readonly store: LogStore
  readonly scheduler: Scheduler
}

/** See `ReplicaHost.offer`. */
export async function offerReplica(
  group: OfferingReplica | undefined,
  { store, scheduler }: OfferingOptions
): Promise<OfferOutcome> {
  if (group === undefined) return { kind: 'later' }
  const { name, replica, log } = group
  if (group.nextLife !== undefined || log.endOffset === log.startOffset) return { kind: 'nothing' }
  const files = await store.offerLog(name, endOffset => committedUpTo(group, endOffset, scheduler))
  // After a restart a replica learns only from its leader what is committed.
  if (files === undefined) return { kind: group.committedOffset <= log.startOffset ? 'later' : 'nothing' }
  const marks = group.replica === replica ? marksBelow(group, files) : undefined
  if (marks !== undefined) return { kind: 'offer', offer: { files, marks, recovery: group.recovery } }
  await store.withdrawOffer(files.directory)
  return { kind: 'nothing' }
}

/** `endOffset`, or less when not all of it is committed after a while. */
async function committedUpTo(group: OfferingReplica, endOffset: number, scheduler: Scheduler): Promise<number> {
  for (let waitedMs = 0; group.committedOffset < endOffset && waitedMs < COMMIT_WAIT_MS; waitedMs += COMMIT_POLL_MS)
    await new Promise<void>(resolve => void scheduler.after(COMMIT_POLL_MS, resolve))
  return Math.min(endOffset, group.committedOffset)
}

/**
 * The marks among the entries that are offered, in base 64; undefined when the log does not hold those entries any more. Looked at
 * after the offer was made: marks are dropped before the records are.
 */
function marksBelow({ writes, nextLife }: OfferingReplica, { endOffset }: LogOffer): string | undefined {
  const { marks, heldEnd } = writes
  if (nextLife !== undefined || heldEnd < endOffset || marks.base.offset >= endOffset) return undefined
  return encodeMarks(marks.within(endOffset - 1)).toBase64()
}

export interface TakingOptions {
  readonly self: BrokerId
  readonly store: LogStore
  readonly random: (bound: number) => number
  readonly log: ReplicationLog
}

/** See `ReplicaHost.takeOver`. */
export async function takeOverReplica(
  { name, options, fold, recovery }: GroupRequest,
  offer: ReplicaOffer,
  { self, store, random, log }: TakingOptions
): Promise<boolean> {
  // Of another life of the group: what it holds may not be what the group goes on with.
  if (offer.recovery !== (recovery?.number ?? 0)) return false
  if (store.logs.has(name) || readGroupState(store.state, name).kind !== 'absent') return false
  const { files } = offer
  const encodedMarks = Uint8Array.fromBase64(offer.marks)
  const marks = decodeMarks(encodedMarks)
  const term = marks.termAt(marks.lastIndex(files.endOffset))
  const promised = { replica: newReplicaId(self, random), hardState: { term, votedFor: undefined } }
  const changes = new Map<string, Uint8Array | undefined>([
    [voteKey(name), encodePromised(promised)],
    [marksKey(name), encodedMarks],
    [voidKey(name), undefined],
    [installKey(name), undefined],
    [recoveryKey(name), offer.recovery > 0 ? encodeRecovery(offer.recovery) : undefined]
  ])
  try {
    await store.adoptLog({ name, options, ...(fold && { fold }) }, files, changes)
    return true
  } catch (error) {
    fold?.restore(undefined)
    if (!(error instanceof StoreError && error.code === 'NOT_ADOPTED')) throw error
    log.info({ group: name, err: error }, 'segments of another shard cannot be taken over: they are copied')
    return false
  }
}
