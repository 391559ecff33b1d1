/**
 * Everything about a partition that does not change it: reads, lookups by time, epochs. On a leader and, as far as a follower may
 * answer, on a follower.
 *
 * Clients see what is committed and nothing else. There are no transactions yet, so the last stable offset is the high watermark.
 */
import type {
  EpochEndOutcome,
  OffsetOptions,
  OffsetOutcome,
  OffsetSpec,
  ReadOutcome,
  ReadRequest
} from '@milena/gateway'
import { StoreError, type EntryLocation, type ReadResult } from '@milena/storage-engine'
import { findRecordByTimestamp, maxTimestampRecord, type ErrorName } from '@milena/wire-protocol'
import type { ReplicatedLog } from '../replication/contract.ts'

/** What reading needs of its partition. */
export interface ReadSource {
  readonly group: ReplicatedLog
  /** Rack of a broker, '' when it has none; undefined: clients are not sent to followers. */
  readonly rackOf: ((brokerId: number) => string) | undefined
  /** The disk takes no more writes: nobody leads here, and what is durable can still be read. */
  readonly failed: boolean
}

/** Offset and epoch that Kafka answers when there is nothing to tell. */
const NONE = -1

export function read(source: ReadSource, request: ReadRequest): ReadOutcome | Promise<ReadOutcome> {
  const { group } = source
  const problem =
    checkEpoch(group, request.currentLeaderEpoch) ??
    checkRole(source, request.leaderOnly) ??
    (isUnready(group) ? 'LEADER_NOT_AVAILABLE' : undefined)
  if (problem !== undefined) return refused(problem)
  const { log } = group
  const end = group.committedOffset
  const { offset, lastFetchedEpoch } = request
  if (lastFetchedEpoch >= 0) {
    const parted = whereLogsPart(group, offset, lastFetchedEpoch)
    if (parted !== undefined) return parted
  }
  if (offset < log.startOffset || offset > log.endOffset) return refused('OFFSET_OUT_OF_RANGE')
  const preferred = preferredReplica(source, request)
  if (preferred !== NONE) return data(group, undefined, preferred)
  if (offset >= end || (request.maxBytes <= 0 && !request.atLeastOne)) return data(group, undefined)
  try {
    const result = log.read(offset, request.maxBytes, end, request.atLeastOne)
    if (!(result instanceof Promise)) return data(group, result)
    return result.then(
      found => data(group, found),
      (error: unknown) => readFailed(group, error)
    )
  } catch (error) {
    return readFailed(group, error)
  }
}

/** Kafka's rules for a client that says what it has (KIP-595). */
function whereLogsPart(group: ReplicatedLog, offset: number, lastFetchedEpoch: number): ReadOutcome | undefined {
  const known = group.endOffsetOfEpoch(lastFetchedEpoch)
  if (known === undefined || offset < group.log.startOffset) return refused('OFFSET_OUT_OF_RANGE')
  if (known.epoch >= lastFetchedEpoch && known.endOffset >= offset) return undefined
  return { kind: 'diverging', epoch: known.epoch, endOffset: known.endOffset, ...offsetsOf(group) }
}

/** The follower that a client of this rack should read from (KIP-392), or -1. */
function preferredReplica({ group, rackOf }: ReadSource, { clientRack, leaderOnly, offset }: ReadRequest): number {
  if (rackOf === undefined || clientRack === '' || leaderOnly || group.role !== 'leader') return NONE
  if (rackOf(group.self) === clientRack) return NONE
  let best = NONE
  let bestOffset = -1
  for (const { brokerId, matchOffset } of group.followers()) {
    if (rackOf(brokerId) !== clientRack || !group.inSync.includes(brokerId)) continue
    if (matchOffset < offset || matchOffset <= bestOffset) continue
    best = brokerId
    bestOffset = matchOffset
  }
  return best
}

export async function offsetFor(source: ReadSource, spec: OffsetSpec, options: OffsetOptions): Promise<OffsetOutcome> {
  const { group } = source
  const problem =
    checkEpoch(group, options.currentLeaderEpoch) ??
    checkRole(source, options.leaderOnly) ??
    (isUnready(group) ? 'OFFSET_NOT_AVAILABLE' : undefined)
  if (problem !== undefined) return { kind: 'refused', error: problem }
  const { log } = group
  const end = options.isolation === undefined ? log.endOffset : group.committedOffset
  try {
    switch (spec.kind) {
      case 'latest':
        return found(end, -1n, group.term)
      case 'earliest':
      case 'earliest-local':
        return found(log.startOffset, -1n, group.term)
      case 'latest-tiered':
      case 'earliest-pending-upload':
        return NOT_FOUND
      case 'max-timestamp':
        return await locate(group, await log.findMaxTimestamp(end), batch => maxTimestampRecord(batch, 0))
      case 'timestamp':
        return await firstSince(group, spec.timestamp, end)
    }
  } catch (error) {
    if (error instanceof StoreError) return { kind: 'refused', error: 'KAFKA_STORAGE_ERROR' }
    throw error
  }
}

/** The first record of a time or later. The log may begin inside a batch: records before its start are no more. */
async function firstSince(group: ReplicatedLog, timestamp: bigint, end: number): Promise<OffsetOutcome> {
  const { log } = group
  const { startOffset } = log
  const pick = (batch: Uint8Array): { offset: number; timestamp: bigint } | undefined =>
    findRecordByTimestamp(batch, 0, timestamp, startOffset)
  const location = await log.findByTimestamp(timestamp, end)
  const outcome = await locate(group, location, pick)
  if (outcome !== NOT_FOUND || location === undefined || location.baseOffset >= startOffset) return outcome
  return locate(group, await log.findByTimestamp(timestamp, end, location.lastOffset + 1), pick)
}

/** Reads the batch that the index found and looks for the record in it. */
async function locate(
  group: ReplicatedLog,
  location: EntryLocation | undefined,
  pick: (batch: Uint8Array) => { offset: number; timestamp: bigint } | undefined
): Promise<OffsetOutcome> {
  if (location === undefined) return NOT_FOUND
  const { log } = group
  const result = await log.read(Math.max(location.baseOffset, log.startOffset), 1, location.lastOffset + 1, true)
  try {
    const [only] = result.slices
    const batch = result.slices.length === 1 && only !== undefined ? only : Buffer.concat(result.slices)
    const record = pick(batch)
    if (record === undefined) return NOT_FOUND
    return found(record.offset, record.timestamp, group.epochAt(record.offset) ?? NONE)
  } finally {
    result.release()
  }
}

export function endOffsetForEpoch(source: ReadSource, epoch: number, currentLeaderEpoch: number): EpochEndOutcome {
  const { group } = source
  const problem = checkEpoch(group, currentLeaderEpoch) ?? checkRole(source, true)
  if (problem !== undefined) return { kind: 'refused', error: problem }
  const end = epoch < 0 ? undefined : group.endOffsetOfEpoch(epoch)
  if (end === undefined) return { kind: 'found', leaderEpoch: NONE, endOffset: NONE }
  return { kind: 'found', leaderEpoch: end.epoch, endOffset: end.endOffset }
}

/** KIP-320: a client with an older or a newer idea of who leads. */
export function checkEpoch(group: ReplicatedLog, epoch: number): ErrorName | undefined {
  if (epoch === NONE || epoch === group.term) return undefined
  return epoch < group.term ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

function checkRole({ group, failed }: ReadSource, leaderOnly: boolean): ErrorName | undefined {
  if (group.role === 'leader' || failed) return undefined
  return leaderOnly || group.leader === undefined ? 'NOT_LEADER_OR_FOLLOWER' : undefined
}

/** A new leader that does not yet know all that was committed before it. */
function isUnready(group: ReplicatedLog): boolean {
  return group.role === 'leader' && !group.leading
}

function offsetsOf({ committedOffset, log }: ReplicatedLog): {
  highWatermark: number
  lastStableOffset: number
  logStartOffset: number
} {
  return { highWatermark: committedOffset, lastStableOffset: committedOffset, logStartOffset: log.startOffset }
}

function data(group: ReplicatedLog, result: ReadResult | undefined, preferredReadReplica = NONE): ReadOutcome {
  return {
    kind: 'data',
    slices: result?.slices ?? [],
    byteCount: result?.byteCount ?? 0,
    ...offsetsOf(group),
    abortedTransactions: [],
    preferredReadReplica,
    release: () => result?.release()
  }
}

/** Kafka tells no offsets beside an error. */
export function refused(error: ErrorName): ReadOutcome {
  return { kind: 'refused', error, highWatermark: NONE, lastStableOffset: NONE, logStartOffset: NONE }
}

function readFailed(group: ReplicatedLog, error: unknown): ReadOutcome {
  if (!(error instanceof StoreError)) throw error
  if (error.code === 'CORRUPT') group.noteDamage()
  return refused(readErrors[error.code] ?? 'KAFKA_STORAGE_ERROR')
}

function found(offset: number, timestamp: bigint, leaderEpoch: number): OffsetOutcome {
  return { kind: 'found', offset, timestamp, leaderEpoch }
}

/** Kafka's answer when no record matches. */
const NOT_FOUND: OffsetOutcome = { kind: 'found', offset: NONE, timestamp: -1n, leaderEpoch: NONE }

const readErrors: Partial<Record<StoreError['code'], ErrorName>> = {
  OUT_OF_RANGE: 'OFFSET_OUT_OF_RANGE',
  CORRUPT: 'CORRUPT_MESSAGE',
  CLOSED: 'NOT_LEADER_OR_FOLLOWER'
}
