/**
 * Opens replicas from what the shard's store holds: logs that are missing are made, marks that a crash left behind the end of a
 * log are dropped, a snapshot that was being put in place is put in place, and whoever has no promises becomes what
 * group-state.ts says.
 *
 * Order for a replica that is opened for the first time: its state is kept before its log is made, so a log without state is
 * always one that lost it.
 */
import type { OpenRaftNode, RaftConfig, RecoveredLog, ReplicaId } from '@milena/raft'
import type { Log, LogStore } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'
import type { BrokerId, GroupRequest } from '../contract.ts'
import { groupKeyOf } from '../wire/group-key.ts'
import {
  beginning,
  encodeMarks,
  encodePromised,
  encodeRecovery,
  installKey,
  LOST_KEY,
  marksKey,
  readGroupState,
  recoveryKey,
  voidKey,
  voteKey,
  type KeptState
} from '../kept/group-state.ts'
import { finishInstall } from './group-install.ts'
import { afterRecovery } from './after-recovery.ts'
import type { GroupParts } from '../group/group-host.ts'
import { GroupWrites } from '../group/group-writes.ts'
import { Marks, type Mark } from '../kept/marks.ts'
import { firstReplicaId, newReplicaId } from '../kept/replica-ids.ts'
import type { StateWriter } from '../kept/state-writer.ts'

export interface OpenGroupsOptions {
  readonly self: BrokerId
  readonly store: LogStore
  readonly state: StateWriter
  readonly random: (bound: number) => number
  readonly openNode: OpenRaftNode
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Asked whenever the node looks. */
  readonly priorityOf: (request: GroupRequest) => number
  /** A group's writes made progress. */
  readonly onProgress: (group: string) => void
  /** See `GroupWritesOptions`. */
  readonly onHeld: (bytes: number) => void
}

/** Value of a group's `void` key: that it is there is what counts. */
const VOID = Uint8Array.of(1)

/** Flow control of a group; see `RaftConfig`. */
const QUIESCE_TICKS = 3
const INFLIGHT_COUNT_MAX = 64
const INFLIGHT_BYTES_MAX = 8 * 1024 * 1024
const APPEND_BYTES_MAX = 1024 * 1024
const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024

/** Opens the groups, all of them in a few transactions. Errors: `StoreError`. */
export async function openGroups(requests: readonly GroupRequest[], options: OpenGroupsOptions): Promise<GroupParts[]> {
  const { store } = options
  const found = await Promise.all(requests.map(request => findOrBegin(request, options)))
  const changes = new Map<string, Uint8Array | undefined>()
  for (const [i, kept] of found.entries()) {
    const { name } = requests[i]!
    if (!kept.changed) continue
    changes.set(voteKey(name), encodePromised(kept.state.promised))
    changes.set(marksKey(name), encodeMarks(kept.state.marks))
    changes.set(voidKey(name), kept.state.isVoid ? VOID : undefined)
    changes.set(installKey(name), undefined)
    if (kept.state.recovery > 0) changes.set(recoveryKey(name), encodeRecovery(kept.state.recovery))
  }
  if (changes.size > 0) await store.state.putAll(changes)
  const missing = requests.filter(({ name }) => !store.logs.has(name))
  if (missing.length > 0) {
    await store.createLogs(
      missing.map(({ name, options: log, fold }) => ({ name, options: log, ...(fold && { fold }) }))
    )
  }
  return Promise.all(requests.map((request, i) => openGroup(request, found[i]!.state, options)))
}

/** What is kept of a replica that begins a new life under `replica`. */
export function stateOfNewLife(group: string, replica: ReplicaId): Map<string, Uint8Array | undefined> {
  return new Map<string, Uint8Array | undefined>([
    [voteKey(group), encodePromised({ replica, hardState: { term: 0, votedFor: undefined } })],
    [marksKey(group), encodeMarks(Marks.bootstrap(undefined))],
    [voidKey(group), VOID],
    [installKey(group), undefined]
  ])
}

interface Found {
  readonly state: KeptState
  /** It is not what the state store holds; no snapshot is being put in place then. */
  readonly changed: boolean
}

async function findOrBegin(request: GroupRequest, options: OpenGroupsOptions): Promise<Found> {
  const { store } = options
  const log = store.logs.get(request.name)
  const kept = readGroupState(store.state, request.name)
  if (kept.kind === 'kept') {
    const { state } = kept
    // What a crash left behind the end of the log was never reported to anybody; it must be gone before the log grows again.
    const endOffset = log?.endOffset ?? 0
    const marks = state.install === undefined && !state.isVoid ? state.marks.within(endOffset) : state.marks
    const { recovery } = request
    if (recovery !== undefined && recovery.number > state.recovery) {
      return { state: afterRecovery({ ...state, marks }, recovery, endOffset, options), changed: true }
    }
    return { state: { ...state, marks }, changed: marks !== state.marks }
  }
  const logHolds = log !== undefined && log.endOffset > 0
  const stateLost = kept.kind === 'damaged' || store.state.get(LOST_KEY) !== undefined
  return { state: await begin(request, log, { logHolds, stateLost }, options), changed: true }
}

async function begin(
  request: GroupRequest,
  log: Log | undefined,
  found: { readonly logHolds: boolean; readonly stateLost: boolean },
  { self, random }: OpenGroupsOptions
): Promise<KeptState> {
  const first = firstReplicaId(self)
  const voters = request.bootstrap.map(firstReplicaId)
  const hardState = { term: 0, votedFor: undefined }
  const recovery = request.recovery?.number ?? 0
  switch (beginning(self, request.bootstrap, found)) {
    case 'founder': {
      const marks = Marks.bootstrap({ kind: 'simple', voters, learners: [] })
      return { promised: { replica: first, hardState }, marks, isVoid: false, install: undefined, recovery }
    }
    case 'alone': {
      const marks = await marksFromEpochs(log!, first)
      const term = marks.items.at(-1)?.term ?? marks.base.term
      const promised = { replica: first, hardState: { term, votedFor: undefined } }
      return { promised, marks, isVoid: false, install: undefined, recovery }
    }
    case 'waiting': {
      const promised = { replica: newReplicaId(self, random), hardState }
      return { promised, marks: Marks.bootstrap(undefined), isVoid: true, install: undefined, recovery }
    }
  }
}

/** The marks of a replica that is alone, from the epochs of its batches. */
async function marksFromEpochs(log: Log, replica: ReplicaId): Promise<Marks> {
  const membership = { kind: 'simple', voters: [replica], learners: [] } as const
  let term = await epochAt(log, log.startOffset)
  let marks = new Marks({ offset: log.startOffset, count: 0, term, membership }, [])
  const last = await epochAt(log, log.endOffset - 1)
  for (let offset = log.startOffset; term < last;) {
    offset = await firstOffsetAbove(log, offset, term)
    term = await epochAt(log, offset)
    const mark: Mark = { offset, term }
    marks = marks.with(mark)
  }
  return marks
}

/** The first offset whose batch has an epoch above `term`; there is one. Epochs ascend along a log. */
async function firstOffsetAbove(log: Log, from: number, term: number): Promise<number> {
  let low = from
  let high = log.endOffset - 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    if ((await epochAt(log, middle)) > term) high = middle
    else low = middle + 1
  }
  return low
}

async function epochAt(log: Log, offset: number): Promise<number> {
  const read = await log.read(offset, 1, log.endOffset, true)
  try {
    return Math.max(
      0,
      batchHeader.leaderEpoch(read.slices.length === 1 ? read.slices[0]! : Buffer.concat(read.slices), 0)
    )
  } finally {
    read.release()
  }
}

async function openGroup(request: GroupRequest, kept: KeptState, options: OpenGroupsOptions): Promise<GroupParts> {
  const { store, state, after, onProgress, onHeld } = options
  const { name, fold, snapshot } = request
  const log = store.logs.get(name)
  if (log === undefined) throw new Error(`log ${name} was not opened`)
  Object.assign(log.options, request.options)
  const { promised } = kept
  let { marks, isVoid } = kept
  if (kept.install !== undefined) {
    marks = kept.install.marks
    isVoid = false
    await finishInstall({ name, log, install: kept.install, snapshot, fold, state })
  }
  const writes = new GroupWrites({
    name,
    store,
    log,
    marks,
    isVoid,
    fold,
    snapshot,
    state,
    after,
    onProgress: () => onProgress(name),
    onHeld
  })
  const node = options.openNode<Uint8Array>(
    configOf(request, promised.replica, options),
    promised.hardState,
    recoveredLog(marks, isVoid ? 0 : log.endOffset)
  )
  return { key: groupKeyOf(name), request, log, replica: promised.replica, recovery: kept.recovery, writes, node }
}

function configOf(request: GroupRequest, id: ReplicaId, options: OpenGroupsOptions): RaftConfig {
  return {
    id,
    electionTicks: options.electionTicks,
    heartbeatTicks: options.heartbeatTicks,
    preVote: true,
    checkQuorum: true,
    get priority() {
      return options.priorityOf(request)
    },
    quiesceTicks: QUIESCE_TICKS,
    inflightCountMax: INFLIGHT_COUNT_MAX,
    inflightBytesMax: INFLIGHT_BYTES_MAX,
    appendBytesMax: APPEND_BYTES_MAX,
    uncommittedBytesMax: UNCOMMITTED_BYTES_MAX,
    random: options.random
  }
}

function recoveredLog(marks: Marks, endOffset: number): RecoveredLog {
  return {
    before: marks.before,
    lastIndex: marks.lastIndex(endOffset),
    termStarts: marks.termStarts(endOffset),
    memberships: marks.memberships,
    damaged: []
  }
}
