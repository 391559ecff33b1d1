/**
 * Opens a store: takes the memory, opens state, identity and catalog, recovers from the journal, and starts work.
 *
 * Order matters only here: identity before the journal (frames carry it), catalog before replay, replay before folds, one
 * checkpoint that says "the journal is empty from here on" before the journal is opened for writing.
 */
import { assert } from '../assert.ts'
import { StoreError } from '../errors.ts'
import { FrameBuilder } from '../journal/frame.ts'
import { JournalReader } from '../journal/journal-reader.ts'
import { Journal } from '../journal/journal.ts'
import type { LogStore } from '../log-store.ts'
import { Arena, pageBytes } from '../memory/arena.ts'
import { PagePool } from '../memory/page-pool.ts'
import { SegmentFiles } from '../segments/segment-files.ts'
import { SegmentScanner } from '../segments/segment-scan.ts'
import { SegmentWriter } from '../segments/segment-writer.ts'
import { Segment } from '../segments/segment.ts'
import { CheckedState } from '../state/checked-state.ts'
import type { StoreLog } from './store-log.ts'
import { defaultStoreSettings, type StoreLogger, type StoreOptions, type StoreSettings } from '../store-options.ts'
import { removeArrivals } from './hand-over/adoption.ts'
import { loadCatalog, loadStoreCheckpoint, rebuildCatalog, type CatalogEntry } from './recovery/catalog.ts'
import { Committer, frameOverheadBytes } from './commit.ts'
import { removeLeftovers } from './removal/cut.ts'
import { Destager } from './destage.ts'
import { DiskReader } from './reads/disk-read.ts'
import { rebuildFold } from './folds.ts'
import { establishIdentity, keepIdentity } from './identity.ts'
import { TimestampLookup } from './reads/lookup.ts'
import { removeOffers } from './hand-over/offers.ts'
import { Recovery } from './recovery/recovery.ts'
import { SegmentIndexes } from './reads/segment-indexes.ts'
import { Store } from './store.ts'
import type { StoreParts } from './store-parts.ts'
import { surveyJournal } from './recovery/survey.ts'
import { TailReader } from './reads/tail-read.ts'
import { Verifier } from './reads/verify.ts'

const frameBytesMax = 4 << 20
const indexBytesMax = 8 << 20
const silent: StoreLogger = { info: () => {}, warn: () => {}, error: () => {} }

/** The journal's geometry and the limits of a commit that follow from the settings. */
function geometry(settings: StoreSettings) {
  const fileBytes = Math.floor(settings.journalBytes / settings.journalFileCount / pageBytes) * pageBytes
  const frameBytes = Math.min(
    fileBytes,
    frameBytesMax,
    Math.max(256 << 10, Math.floor(settings.memoryBytes / 16 / pageBytes) * pageBytes)
  )
  const inlineBytesMax = Math.min(settings.inlineBytesMax, frameBytes - frameOverheadBytes())
  assert(settings.memoryBytes >= 1 << 20, 'memoryBytes is at least 1 MiB')
  assert(settings.journalFileCount >= 2 && settings.journalFileCount <= 64, 'journalFileCount is 2 to 64')
  assert(fileBytes >= 32 << 10, 'a journal file has at least 32 KiB')
  return { fileBytes, frameBytes, inlineBytesMax, commitBytesMax: Math.max(settings.commitBytesMax, inlineBytesMax) }
}

/**
 * Opens the store in `directory`, recovering whatever is there. Errors: `StoreError` (`IDENTITY_MISMATCH`, `CORRUPT` when the
 * state itself cannot be read), `DiskError`. Resolves when every log can be read and appended to.
 */
export async function openStore(options: StoreOptions): Promise<LogStore> {
  const settings = { ...defaultStoreSettings, ...options.settings }
  const { disk, directory } = options
  for (const folder of [directory, `${directory}/journal`, `${directory}/logs`]) await disk.makeDirectory(folder)
  await removeOffers(disk, directory)
  const parts = await buildParts(options, settings)
  const store = parts.store
  try {
    await recover(store, parts, options)
    if (parts.stateLost) await keepIdentity(parts.engineState, parts.identity)
    store.start()
    await store.checkSpace()
    return store
  } catch (error) {
    await parts.backend.close()
    await parts.files.close()
    parts.memory.release()
    throw error
  }
}

interface Building extends StoreParts {
  readonly store: Store
  readonly identity: Uint8Array
  /** The state is lost and is rebuilt from segments and journal. */
  readonly stateLost: boolean
}

async function buildParts(options: StoreOptions, settings: StoreSettings): Promise<Building> {
  const { disk, directory, format, clock, scheduler } = options
  const { fileBytes, frameBytes, inlineBytesMax, commitBytesMax } = geometry(settings)
  const logger = options.log ?? silent
  const backend = await options.openState()
  let store: Store | undefined
  const onStateFailed = (error: Error) => store?.fail(error)
  const engineState = new CheckedState(backend, 'engine/', onStateFailed)
  const hostState = new CheckedState(backend, 'host/', onStateFailed)
  const identity = await establishIdentity(disk, directory, engineState, options.newIdentity)
  const memory = disk.allocateBuffer(settings.memoryBytes)
  const frame = memory.bytes.subarray(0, frameBytes)
  const arena = new Arena(memory.bytes.subarray(frameBytes))
  const pool = new PagePool(arena, Math.floor(arena.pageCount / 8))
  const files = new SegmentFiles(disk, settings.openFilesMax)
  const scanner = new SegmentScanner(disk, files, format)
  const indexes = new SegmentIndexes(disk, scanner, format, indexBytesMax)
  const writer = new SegmentWriter(disk, files, pool, settings.gentleBytesMin)
  const journal = new Journal(disk, `${directory}/journal`, fileBytes, settings.journalFileCount)
  const tailReader = new TailReader(pool, format)
  const diskReader = new DiskReader(pool, format, files, indexes)
  const host = {
    get failure() {
      return store?.failure
    }
  }
  const builder = new FrameBuilder(frame, identity.bytes)
  const limits = { inlineBytesMax, commitBytesMax, frameBytesMax: frameBytes }
  const committer = new Committer({ host, pool, format, journal, builder, writer, scheduler, limits })
  const destager = new Destager(host, journal, writer, engineState, committer, settings.destageConcurrency)
  const lookup = new TimestampLookup(format, indexes, diskReader, tailReader)
  const verifier = new Verifier(format, scanner, indexes)
  const onFailed = options.onFailed ?? (() => {})
  if (options.onFlushed !== undefined) committer.onFlushed = options.onFlushed
  const parts = {
    disk,
    directory,
    settings,
    format,
    clock,
    pool,
    memory,
    journal,
    files,
    writer,
    scanner,
    indexes,
    tailReader,
    diskReader,
    lookup,
    verifier,
    backend,
    engineState,
    hostState,
    scheduler,
    committer,
    destager,
    newIdentity: options.newIdentity,
    logger,
    onFailed
  }
  store = new Store(parts)
  store.stateLost = identity.stateLost
  return { ...parts, store, identity: identity.bytes, stateLost: identity.rebuilds }
}

/** Brings `store` to where the last run stood, and the journal to empty. */
async function recover(store: Store, parts: Building, options: StoreOptions): Promise<void> {
  const {
    disk,
    directory,
    engineState,
    files,
    scanner,
    indexes,
    format,
    committer,
    destager,
    writer,
    journal,
    logger
  } = parts
  const checkpoint = parts.stateLost ? undefined : loadStoreCheckpoint(engineState)
  const catalog = parts.stateLost
    ? await rebuildCatalog(disk, directory, files, scanner, format, 1)
    : loadCatalog(engineState, name => store.directoryOf(name))
  for (const entry of catalog) {
    adopt(store, entry, options)
    for (const { startOffset, endOffset, reason } of entry.damage ?? [])
      store.logs.get(entry.name)!.addDamage(startOffset, endOffset, reason)
  }
  destager.nextLogNumber = Math.max(checkpoint?.nextLogNumber ?? 1, ...catalog.map(({ number }) => number + 1))
  committer.resumeAfter((checkpoint?.replayFrom ?? 1) - 1)
  writer.keepsBehind = true
  const reader = new JournalReader(disk, `${directory}/journal`, parts.identity)
  const survey = parts.stateLost ? await surveyJournal(reader) : undefined
  for (const { name, options: logOptions, segmentBase } of survey?.logs.values() ?? []) {
    if (store.logs.has(name)) continue
    const number = destager.nextLogNumber++
    const segments = [new Segment(store.directoryOf(name), segmentBase, 0, options.clock.now())]
    const entry = { number, name, options: logOptions, startOffset: segmentBase, segments, checkpoint: undefined }
    adopt(store, entry, options)
  }
  const recovery = new Recovery({
    stateLost: parts.stateLost,
    format,
    scanner,
    files,
    logNumbered: number =>
      survey === undefined ? store.numbers.get(number) : store.logs.get(survey.names.get(number) ?? ''),
    sequenceKnown: log => (survey?.logs.get(log.name)?.from ?? 1 + (log.checkpoint?.sequence ?? 0)) - 1,
    becomeApplied: sequence => committer.resumeAfter(sequence),
    notePending: (log, sequence) => destager.notePending(log, sequence, options.clock.now()),
    destage: async logs => {
      await destager.round(() => logs ?? destager.allPending())
      // Whoever asks for some logs goes on to drop their tails: what is not in the segments then would be nowhere.
      const waiting = logs?.filter(log => log.destagedPosition < log.flushedPosition) ?? destager.allPending()
      if (waiting.length > 0) throw new StoreError('NO_SPACE', 'recovery needs space to destage')
    },
    allPending: () => destager.allPending(),
    addStoreDamage: reason => store.addStoreDamage(reason)
  })
  const replayFrom = survey?.replayFrom ?? checkpoint?.replayFrom ?? 0
  const end = await recovery.replay(reader, replayFrom, checkpoint?.complete ?? 0)
  writer.keepsBehind = false
  committer.resumeAfter(end.lastSequence)
  await destager.round(() => (parts.stateLost ? [...store.logs.values()] : []))
  for (const log of store.logs.values())
    if (parts.stateLost || log.checkpoint?.leftovers === true) await removeLeftovers(disk, log)
  await removeArrivals(disk, directory, engineState, store.logs, name => store.directoryOf(name))
  const caughtUp: StoreLog[] = []
  for (const log of store.logs.values())
    if ((await rebuildFold(log, engineState, indexes, scanner, format)) > 0) caughtUp.push(log)
  // The next start need not read the same entries again.
  if (caughtUp.length > 0) await destager.round(() => caughtUp)
  await journal.open(end.nextFile)
  if (recovery.frameCount > 0 || parts.stateLost)
    logger.info(
      { frames: recovery.frameCount, entries: recovery.entryCount, stateLost: parts.stateLost },
      'recovered from the journal'
    )
}

function adopt(store: Store, entry: CatalogEntry, options: StoreOptions): void {
  const { name, checkpoint } = entry
  const log = store.adopt({ ...entry, directory: store.directoryOf(name), fold: options.folds?.(name) })
  log.checkpoint = checkpoint
  log.emptyFolds = checkpoint?.emptyFolds ?? []
  log.foldReady = log.fold === undefined
}
