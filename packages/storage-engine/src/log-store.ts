/**
 * The contract of the shard's store: many logs, one journal, one owner (the shard's process; nothing here is shared).
 *
 * A log is a sequence of *entries* (opaque bytes, appended whole) that together hold *offsets* [startOffset, endOffset).
 * Where an entry keeps its offsets, timestamp, length and checksum is told by an `EntryFormat` that the host passes in.
 *
 *   append(entry) ──copy──► tail cache (pages that mirror the segment file)     readable for the owner
 *        │ group commit: all that waits, depth 1
 *        ├─ small: bytes inline in the shard's journal        (one O_DIRECT|O_DSYNC write for all logs)
 *        └─ large: bytes straight into the segment + an extent record in the journal, in parallel
 *        ▼
 *   flushed: the entry survives kill -9 and power loss; `flushedOffset` moved; `onFlushed(logs)` ran
 *        │ later, in big writes
 *        ▼
 *   destaged: bytes are in the segment, a checkpoint says so, the journal space is reused
 *
 * Words:
 * - *appended*: in memory, has its place in the log. Lost by a crash. `endOffset` counts it.
 * - *flushed*: durable. `flushedOffset` counts it. The order of flushing is the order of appending, in every log.
 * - *readable*: whoever holds the log may read up to `endOffset`; the host decides what its users may see (normally
 *   nothing above `flushedOffset`).
 *
 * Recovery: checkpoint + journal replay. Reads at most the journal's live part and the extents since the checkpoint.
 * Every journal commit says which commit was complete when it was issued, so a broken commit that a later one calls
 * complete is corruption (reported, that range refused), and only a broken last one is a torn tail (dropped).
 *
 * Memory: everything is inside `memoryBytes`, taken at open. `append` never allocates; when no page is free it answers
 * `full` and `whenWritable()` resolves after destaging freed some.
 */

/** Where an entry keeps what the engine must know. All functions are pure, allocate nothing and never throw. */
export interface EntryFormat {
  /**
   * Bytes from the start of an entry that the other functions may look at (except `isIntact`). The entry's own checksum must
   * lie inside: the engine binds directly written ranges to their entries through these bytes.
   */
  readonly headerBytes: number
  /** Bytes of the largest legal entry, header included. */
  readonly entryBytesMax: number
  /** Length of the entry that starts at `position`, header included; 0 when no entry can start there. */
  lengthAt(bytes: Uint8Array, position: number): number
  baseOffsetAt(bytes: Uint8Array, position: number): number
  /** Last offset of the entry (inclusive). */
  lastOffsetAt(bytes: Uint8Array, position: number): number
  /** Largest timestamp in the entry, ms since the epoch, or -1n for none. */
  maxTimestampAt(bytes: Uint8Array, position: number): bigint
  /** Whether the checksum over the whole entry `[position, position + length)` holds. */
  isIntact(bytes: Uint8Array, position: number, length: number): boolean
}

/**
 * State that the host derives from a log's entries (producer tables, a state machine). The engine keeps its snapshots with
 * the checkpoints, so that recovery replays only what came after.
 */
export interface LogFold {
  /**
   * The state as of all entries appended so far. Called at checkpoints, synchronously, when `endOffset` is what the snapshot
   * stands for. Returns bytes that the engine stores (at most 1 MiB), or undefined for "nothing to keep": then it starts empty
   * from here.
   */
  snapshot(): Uint8Array | undefined
  /**
   * Called at recovery before any `replay`, and again by `truncate` (the state must forget what was cut): the newest snapshot
   * that is not beyond the end of the log, or undefined for "start empty".
   */
  restore(snapshot: Uint8Array | undefined): void
  /** Called after `restore` for every entry after that snapshot, in order. `entry` is valid during the call only. */
  replay(entry: Uint8Array): void
}

/** How a log is cut into segments. */
export interface LogOptions {
  /** Bytes after which a segment is sealed and the next begins (Kafka: segment.bytes). May be changed while open. */
  segmentBytes: number
  /** Bytes between entries of the sparse index (Kafka: index.interval.bytes). */
  indexIntervalBytes: number
  /** Age (ms, by the clock) after which a non-empty segment is sealed at the next append (Kafka: segment.ms). */
  segmentMs: number
}

/** A piece of a log, as views of the engine's memory. */
export interface ReadResult {
  /** Whole entries, in order; a view may end inside an entry that the next view continues. */
  readonly slices: readonly Uint8Array[]
  readonly byteCount: number
  /** Offset after the last entry returned. */
  readonly nextOffset: number
  /** The slices stay valid until this is called (exactly once), whatever happens to the log. */
  release(): void
}

/** An entry that a lookup found. */
export interface EntryLocation {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly maxTimestamp: bigint
}

/** What `Log.verify` looked at. */
export interface Verification {
  /** Where the next call goes on; before the offset that was asked for, when it had to begin with the segment. */
  readonly nextOffset: number
  /** Nothing at `nextOffset` and behind it is at rest. */
  readonly atEnd: boolean
  /** Bytes of the file that were verified, or found damaged. */
  readonly byteCount: number
  /** Damage that was not known before; recorded, as `StoreStatus.damage` tells. */
  readonly damage: readonly Damage[]
}

/** Whether the entry at `at`, whose checksum holds, can be what was appended there. Pure; must not throw. */
export type EntryCheck = (bytes: Uint8Array, at: number) => boolean

/** One log of a store. */
export interface Log {
  readonly name: string
  /** First offset that can be read. */
  readonly startOffset: number
  /** Offset that the next entry must begin with. */
  readonly endOffset: number
  /** All offsets below are durable. */
  readonly flushedOffset: number
  /** Bytes of all segments, cached or not. */
  readonly sizeBytes: number
  readonly options: LogOptions

  /**
   * Appends one entry whose base offset is `endOffset` (asserted). Copies the bytes before it returns. The entry is written
   * with the next commit; no promise: watch `flushedOffset` through `onFlushed`.
   * `full`: nothing was appended, wait for `LogStore.whenWritable()`. `failed`: the store or this log accepts no more writes
   * (see `LogStore.failure`).
   */
  append(entry: Uint8Array): 'appended' | 'full' | 'failed'
  /** Resolves when everything appended before the call is durable; rejects with `FAILED` when it never will be. */
  flush(): Promise<void>
  /**
   * Entries from the one that contains `offset`, up to `maxBytes` (at least one entry when `atLeastOne`), none that begins at
   * or after `endBefore`. Synchronous when the range is in the tail cache. Errors: `OUT_OF_RANGE`, `CORRUPT` (checksum, on
   * data from disk), `FAILED`, `CLOSED`, thrown or rejected as `StoreError`.
   */
  read(offset: number, maxBytes: number, endBefore: number, atLeastOne: boolean): ReadResult | Promise<ReadResult>
  /**
   * The first entry (below `endBefore`) whose max timestamp is at least `timestamp`; with `from` (below `endBefore`), of the entry
   * that contains this offset and those after it. The first entry of a log may begin before `startOffset`.
   */
  findByTimestamp(timestamp: bigint, endBefore: number, from?: number): Promise<EntryLocation | undefined>
  /** The entry with the largest timestamp; of several, the first. */
  findMaxTimestamp(endBefore: number): Promise<EntryLocation | undefined>
  /**
   * What the holder of the log knows of its entries beyond what their checksums cover: asked for every entry that is read from
   * disk, and one that it denies is damaged. Undefined: nothing.
   */
  isExpected: EntryCheck | undefined
  /**
   * Looks for damage that no read has met: reads entries at rest (destaged) from the device, from the one that contains `offset`
   * on, about `maxBytes` (64 KiB to 1 MiB, or one larger entry), and checks each. What is wrong, or cannot be read again and
   * again, is recorded as damage. Caches neither use nor keep what it reads. A call that does not go on where the last one ended
   * begins with the segment of `offset`. Errors: `CLOSED`, and a `DiskError` other than that the device cannot read.
   */
  verify(offset: number, maxBytes: number): Promise<Verification>
  /**
   * Drops all entries at and after `offset` (an entry boundary); durable when it resolves. Until then `append` answers `full`.
   * Rewinds the log's fold. Reads under way return what was there, or `OUT_OF_RANGE`; so do those that `resetTo` meets.
   */
  truncate(offset: number): Promise<void>
  /** Moves `startOffset` forward; whole segments below it are removed. Durable when it resolves. */
  trim(startOffset: number): Promise<void>
  /**
   * Drops all entries; the log is empty and goes on at `offset`, lower or higher than before. All or nothing, durable when it
   * resolves; until then `append` answers `full`. Restores the log's fold to "start empty". What is appended but not yet
   * flushed is flushed first.
   */
  resetTo(offset: number): Promise<void>
}

/** A small durable map in the same folder (LMDB): votes, identities, snapshots. Values carry their own checksum inside. */
export interface StateStore {
  get(key: string): Uint8Array | undefined
  /** Durable (device cache included) when it resolves. Never answer anybody before. */
  put(key: string, value: Uint8Array): Promise<void>
  /** All or nothing, durable when it resolves; undefined removes. */
  putAll(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void>
  /** Keys with this prefix, sorted. */
  keys(prefix: string): string[]
  close(): Promise<void>
}

/** How a store is. */
export interface StoreStatus {
  readonly state: 'open' | 'no-space' | 'failed' | 'closed'
  readonly journalBytesLive: number
  readonly memoryBytesFree: number
  /** Ranges that recovery or a read found damaged and that reads refuse. */
  readonly damage: readonly Damage[]
  /**
   * The small state was lost (file missing, empty or broken) although this store had one: logs were rebuilt from their
   * segments and the journal, but votes and other promises kept in `LogStore.state` are gone. Whoever votes must not. Told by
   * every start until `LogStore.acknowledgeStateLoss`.
   */
  readonly stateLost: boolean
}

/** Offsets [startOffset, endOffset) of a log that are known to be damaged; reads refuse them with `CORRUPT`. */
export interface Damage {
  readonly log: string
  readonly startOffset: number
  readonly endOffset: number
  readonly reason: string
}

/** One segment that is offered: a file of entries and nothing else. */
export interface OfferedSegment {
  /** First offset; names the file. */
  readonly baseOffset: number
  readonly byteCount: number
  /** Offset after the last entry. */
  readonly endOffset: number
  /** int64 in decimal digits; -1: none. */
  readonly maxTimestamp: string
  /** Wall clock, ms, of the first append. */
  readonly createdMs: number
  /** Entries that reads can begin at while the segment has no index file: [offset, file position], ascending. */
  readonly marks?: readonly (readonly [number, number])[]
}

/** The sealed segments of a log, for another store on the same file system. Plain data, fit for JSON. */
export interface LogOffer {
  /** Folder in which the files have names of their own: they are there until `withdrawOffer`, or until the store is opened again. */
  readonly directory: string
  /** First offset that can be read; in the first segment. */
  readonly startOffset: number
  /** End of the last segment. */
  readonly endOffset: number
  /** Each begins where the one before ends. */
  readonly segments: readonly OfferedSegment[]
  /** The log's fold as of `offset`, in base 64, '' for "start empty". Absent: it is to be had from the entries, from offset 0. */
  readonly fold?: { readonly offset: number; readonly snapshot: string }
}

/** A store: logs behind one journal, and a small state. */
export interface LogStore {
  readonly state: StateStore
  /** Why the store failed, once it did. */
  readonly failure: Error | undefined
  /** Logs that exist, by name. Recovered by `openStore` before it resolves. */
  readonly logs: ReadonlyMap<string, Log>
  /** Creates logs; durable (one transaction for all) when it resolves. Names: `[A-Za-z0-9._-]{1,249}`. */
  createLogs(requests: readonly { name: string; options: LogOptions; fold?: LogFold }[]): Promise<Log[]>
  /** Forgets the logs durably, then removes their files in the background. Reads in progress stay valid. */
  removeLogs(names: readonly string[]): Promise<void>
  /**
   * Offers what a log holds to another store: seals the active segment, finishes all that are sealed, and gives their files a
   * second name each. None of them changes from then on; trimming, truncating and removing the log leave the second names alone.
   * `endBefore` is told where the log ended and answers below which offset entries may be handed over: segments that reach beyond
   * are left out, and so is what is damaged and all behind it. Undefined: nothing can be offered (no segment is whole, the fold's
   * state at its end is not known, or the file system has no links). At most `offeredSegmentsMax` segments.
   */
  offerLog(name: string, endBefore: (endOffset: number) => number | Promise<number>): Promise<LogOffer | undefined>
  /** Removes the second names that an offer made; unknown offers are passed over. */
  withdrawOffer(directory: string): Promise<void>
  /**
   * Makes a log of what another store offers, without copying an entry: its files get a name here as well. `changes` of `state`
   * become durable in the same transaction; a crash leaves nothing of the log, or all of it and them. The fold stands for all
   * entries then. Whoever holds the log must not truncate it below the offer's end.
   * `NOT_ADOPTED`: the files are gone, not what the offer says, or on another file system; nothing has changed.
   */
  adoptLog(
    request: { readonly name: string; readonly options: LogOptions; readonly fold?: LogFold },
    offer: LogOffer,
    changes?: ReadonlyMap<string, Uint8Array | undefined>
  ): Promise<Log>
  /** Appends are answered `failed` now: the store failed, is out of space, or is closed. Cheap, unlike `status()`. */
  readonly refusesAppends: boolean
  /** False when an append of `bytes` could be refused as `full`. */
  writable(bytes: number): boolean
  /** Resolves in a later turn of the loop, as soon as there is room for an append of `bytes` (default: any). */
  whenWritable(bytes?: number): Promise<void>
  status(): StoreStatus
  /** The host has noted, durably, that the state was lost: later starts do not tell it again. Durable when it resolves. */
  acknowledgeStateLoss(): Promise<void>
  /** Destages, checkpoints and closes everything. */
  close(): Promise<void>
}
