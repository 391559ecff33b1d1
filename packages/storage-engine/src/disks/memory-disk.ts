/**
 * A disk in memory that behaves like a bad one: it loses what was not flushed, tears, reorders, corrupts, lies, fills up, is
 * slow and fails; all of it from a seed, so that a failing run replays exactly.
 *
 * Model. A file has what readers see and what a power cut leaves (`memory/inode.ts`); a folder likewise
 * (`memory/namespace.ts`). `crash` gives a new disk with the survivors and turns the old one off: whatever was in flight on
 * it rejects with `CLOSED`, as does every later call.
 *
 *   write, durable file     permanent when it resolves; until then each 512-byte sector may be old or new
 *   write, other file       each 512-byte sector old or new until `sync`
 *   allocate                reserves; data written there un-synced reads as zeros after a power cut if the mapping was lost
 *   create, link, rename,   each may be undone by itself until `syncDirectory`
 *     remove
 *   remove of a folder      one removal per file below, depth first: a power cut may leave some
 *
 * Time: operations complete through the `scheduler` that the host passes, after `latencyMs`; without one, in microtasks in a
 * seeded order. Nothing here reads a clock or sets a timer.
 */
import type { AlignedBuffer, Disk, DiskFile, OpenOptions } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { registerAlignedMemory } from './file-guard.ts'
import { Completions, type DiskScheduler } from './memory/completions.ts'
import { Faults, type DiskOperation, type FaultEffect, type FaultTarget } from './memory/faults.ts'
import { Inode, type Fate, type FateOf } from './memory/inode.ts'
import { MemoryFile, type MemoryHost } from './memory/memory-file.ts'
import { Directory, Namespace, namesOf, type Node } from './memory/namespace.ts'
import { SECTOR_BYTES } from './memory/sector-image.ts'
import { SeededRandom } from './seeded-random.ts'

export type { DiskOperation, DiskScheduler, Fate, FaultTarget }

/** Memory from which buffers are cut. */
const SLAB_BYTES = 1 << 20

/** What a disk in memory is like. */
export interface MemoryDiskOptions {
  /** Decides every random choice. Default 1. */
  readonly seed?: number
  /** Power of two in [512, 4096]; default 4096. Sectors stay 512 bytes: a larger block is not atomic. */
  readonly alignment?: 512 | 1024 | 2048 | 4096
  /** Bytes that all files together may hold, allocated space included. Default unlimited. */
  readonly capacityBytes?: number
  /** Completes operations in the host's time; see `DiskScheduler`. */
  readonly scheduler?: DiskScheduler
  /** How long an operation takes, ms; only with a scheduler. `fraction` is a seeded number in [0, 1). Default 0. */
  readonly latencyMs?: (operation: DiskOperation, fraction: number) => number
  /**
   * Fail an assertion when a caller changes a buffer while it is being written (sampled: start, middle, end). Default true;
   * off for a caller that knowingly appends behind the bytes that matter.
   */
  readonly strictBuffers?: boolean
  /**
   * Runs when an operation was issued and is in flight (a power cut may already keep, tear or drop it). Reads are left out.
   * Crash here to test every boundary; what it throws, the operation rejects with.
   */
  readonly onOperation?: (operation: DiskOperation) => void
}

/** How a power cut treats un-synced operations: all alike, or each as chosen. `random` is the default. */
export type CrashPolicy = 'random' | 'drop-all' | 'keep-all' | 'tear-all' | FateOf

/** What a power cut leaves. */
export interface CrashOptions {
  readonly policy?: CrashPolicy
  /** Default: drawn from the disk's own seed. */
  readonly seed?: number
  /** Options of the new disk that differ from the old one's; its seed is `seed`. */
  readonly next?: Omit<MemoryDiskOptions, 'seed' | 'alignment'>
}

export class MemoryDisk implements Disk {
  readonly kind = 'memory'
  readonly alignment: number
  readonly #options: MemoryDiskOptions
  readonly #random: SeededRandom
  readonly #completions: Completions
  readonly #faults = new Faults()
  readonly #inFlight = new Set<(error: DiskError) => void>()
  readonly #host: MemoryHost
  readonly #files = new Set<MemoryFile>()
  #namespace = new Namespace()
  #capacityBytes: number
  #sectorsUsed = 0
  #operationCount = 0
  #slab: Uint8Array | undefined
  #slabUsed = 0
  #off: DiskError | undefined

  constructor(options: MemoryDiskOptions = {}) {
    this.#options = options
    this.alignment = options.alignment ?? 4096
    this.#capacityBytes = options.capacityBytes ?? Infinity
    this.#random = new SeededRandom(options.seed ?? 1)
    this.#completions = new Completions(this.#random.fork(), options.scheduler)
    this.#host = {
      alignment: this.alignment,
      random: this.#random,
      strictBuffers: options.strictBuffers ?? true,
      perform: (kind, path, position, length, begin) => this.#perform(kind, path, position, length, begin),
      claimSectors: (path, inode, start, end) => this.#claimSectors(path, inode, start, end),
      releaseSectors: count => {
        this.#sectorsUsed -= count
      },
      inodeAt: path => this.#inodeAt(path),
      closed: (file, inode) => {
        this.#files.delete(file)
        this.#freeIfUnused(inode)
      }
    }
  }

  /** Operations issued so far, reads left out. */
  get operationCount(): number {
    return this.#operationCount
  }

  /** Changes the size of the device; what is there stays. */
  set capacityBytes(bytes: number) {
    this.#capacityBytes = bytes
  }

  // ---- Disk ----

  allocateBuffer(bytes: number): AlignedBuffer {
    const rounded = Math.max(1, Math.ceil(bytes / this.alignment)) * this.alignment
    // One memory for many buffers: each is used once, so that nobody sees what another left there.
    if (this.#slab === undefined || this.#slab.length - this.#slabUsed < rounded) {
      this.#slab = new Uint8Array(Math.max(SLAB_BYTES, rounded))
      this.#slabUsed = 0
      registerAlignedMemory(this.#slab.buffer, 4096)
    }
    const view = this.#slab.subarray(this.#slabUsed, this.#slabUsed + rounded)
    this.#slabUsed += Math.ceil(rounded / 4096) * 4096
    return { bytes: view, release: () => {} }
  }

  async open(path: string, options: OpenOptions): Promise<DiskFile> {
    let node = this.#namespace.find(path)
    if (node === undefined && options.mode === 'create') {
      await this.#performOrFail('create', path, () => {
        this.#namespace.change([{ ...this.#parent(path), node: (node = new Inode()) }])
      })
    } else await this.#performOrFail('read', path)
    if (node === undefined) throw new DiskError('NOT_FOUND', path, 'no such file')
    if (node instanceof Directory) throw new DiskError('IO', path, 'is a folder')
    const file = new MemoryFile(this.#host, node, path, options)
    this.#files.add(file)
    return file
  }

  async makeDirectory(path: string): Promise<void> {
    const names = namesOf(path)
    for (let depth = 1; depth <= names.length; depth++) {
      const folder = '/' + names.slice(0, depth).join('/')
      const existing = this.#namespace.find(folder)
      if (existing instanceof Inode) throw new DiskError('IO', folder, 'is a file')
      if (existing instanceof Directory) continue
      await this.#performOrFail('makeDirectory', folder)
      if (this.#namespace.find(folder) === undefined) {
        this.#namespace.change([{ ...this.#parent(folder), node: new Directory() }], true)
      }
    }
    if (this.#off !== undefined) throw this.#off
  }

  async list(path: string): Promise<string[]> {
    await this.#performOrFail('read', path)
    const node = this.#namespace.find(path)
    return node instanceof Directory ? [...node.entries.keys()].sort() : []
  }

  async link(source: string, target: string): Promise<void> {
    await this.#performOrFail('link', source, () => {
      const node = this.#namespace.find(source)
      if (node === undefined) throw new DiskError('NOT_FOUND', source, 'no such file')
      if (node instanceof Directory) throw new DiskError('UNSUPPORTED', source, 'is a folder')
      if (this.#namespace.find(target) !== undefined) throw new DiskError('IO', target, 'exists')
      this.#namespace.change([{ ...this.#parent(target), node }])
      node.linkCount += 1
    })
  }

  async rename(source: string, target: string): Promise<void> {
    await this.#performOrFail('rename', source, () => {
      const node = this.#namespace.find(source)
      if (node === undefined) throw new DiskError('NOT_FOUND', source, 'no such file')
      const replaced = this.#namespace.find(target)
      if (replaced === node) return
      this.#namespace.change([
        { ...this.#parent(source), node: undefined },
        { ...this.#parent(target), node }
      ])
      if (replaced instanceof Inode) this.#unlink(replaced)
    })
  }

  async remove(path: string): Promise<void> {
    const node = this.#namespace.find(path)
    if (node === undefined) {
      if (this.#off !== undefined) throw this.#off
      return
    }
    if (node instanceof Directory)
      for (const name of [...node.entries.keys()].sort()) await this.remove(`${path}/${name}`)
    await this.#performOrFail('remove', path, () => {
      if (this.#namespace.find(path) !== node) return
      this.#namespace.change([{ ...this.#parent(path), node: undefined }])
      if (node instanceof Inode) this.#unlink(node)
    })
  }

  async syncDirectory(path: string): Promise<void> {
    const directory = this.#namespace.find(path)
    if (!(directory instanceof Directory)) throw new DiskError('NOT_FOUND', path, 'no such folder')
    const order = this.#namespace.beginSync()
    await this.#performOrFail('syncDirectory', path)
    this.#namespace.completeSync(directory, order)
  }

  async freeBytes(path: string): Promise<number> {
    await this.#performOrFail('read', path)
    return Math.max(0, this.#capacityBytes - this.#sectorsUsed * SECTOR_BYTES)
  }

  async totalBytes(path: string): Promise<number> {
    await this.#performOrFail('read', path)
    return this.#capacityBytes
  }

  async close(): Promise<void> {
    await Promise.all([...this.#files].map(file => file.close()))
    this.#off ??= new DiskError('CLOSED', '/', 'the disk is closed')
  }

  // ---- what a test can do to it ----

  /**
   * Cuts the power: this disk is off from now on (in flight and later calls reject with `CLOSED`), and the result is the disk
   * as it comes up again. Handles must be opened anew.
   */
  crash(options: CrashOptions = {}): MemoryDisk {
    const seed = options.seed ?? this.#random.nextUint32()
    const random = new SeededRandom(seed)
    const { onOperation: _unused, ...inherited } = this.#options
    const next = new MemoryDisk({ ...inherited, capacityBytes: this.#capacityBytes, ...options.next, seed })
    next.#namespace = this.#namespace.survivor(fateOf(options.policy ?? 'random', random), random)
    const linkCounts = new Map<Inode, number>()
    for (const inode of inodesOf(next.#namespace.root)) linkCounts.set(inode, (linkCounts.get(inode) ?? 0) + 1)
    for (const [inode, linkCount] of linkCounts) {
      inode.linkCount = linkCount
      next.#sectorsUsed += inode.image.usedSectors()
    }
    this.#off = new DiskError('CLOSED', '/', 'the power is off')
    for (const reject of this.#inFlight) reject(this.#off)
    this.#inFlight.clear()
    return next
  }

  /** Flips `bitCount` bits from the lowest bit of the byte at `position` on, for readers and on the platter. */
  corrupt(path: string, position: number, bitCount = 1): void {
    const inode = this.#inodeAt(path)
    if (inode === undefined) throw new DiskError('NOT_FOUND', path, 'no such file')
    inode.flipBits(position, bitCount)
  }

  /** Writes answer EIO; some of their sectors may have changed. */
  failWrites(target: FaultTarget = {}): void {
    this.#faults.add(['write'], normalised(target), { kind: 'fail' })
  }

  /** Flushes answer EIO; un-synced pages are lost for a power cut although readers see them and a second flush succeeds. */
  failSync(target: FaultTarget = {}): void {
    this.#faults.add(['sync', 'syncDirectory'], normalised(target), { kind: 'fail' })
  }

  failReads(target: FaultTarget = {}): void {
    this.#faults.add(['read'], normalised(target), { kind: 'fail' })
  }

  /** Creations, links, renames, removals, truncations and allocations answer EIO and change nothing. */
  failMetadata(target: FaultTarget = {}): void {
    const kinds = ['create', 'makeDirectory', 'link', 'rename', 'remove', 'truncate', 'allocate'] as const
    this.#faults.add(kinds, normalised(target), { kind: 'fail' })
  }

  /** Writes and flushes are acknowledged and do nothing: readers get the old bytes. */
  loseWrites(target: FaultTarget = {}): void {
    this.#faults.add(['write'], normalised(target), { kind: 'lose' })
  }

  /** Flushes are acknowledged and do nothing. */
  loseSyncs(target: FaultTarget = {}): void {
    this.#faults.add(['sync'], normalised(target), { kind: 'lose' })
  }

  /** Writes are acknowledged but land, durably, in `path` at `position`. */
  misdirectWrites(landing: { path: string; position: number }, target: FaultTarget = {}): void {
    this.#faults.add(['write'], normalised(target), { kind: 'misdirect', ...landing })
  }

  /** Disarms all faults. What they did stays. */
  clearFaults(): void {
    this.#faults.clear()
  }

  /** A copy of what readers of a file see, without an operation; undefined when it is missing. */
  contents(path: string): Uint8Array | undefined {
    const inode = this.#inodeAt(path)
    if (inode === undefined) return undefined
    const bytes = new Uint8Array(inode.size)
    inode.image.read(bytes, 0)
    return bytes
  }

  // ---- the machine ----

  async #perform(
    kind: DiskOperation['kind'],
    path: string,
    position: number,
    length: number,
    begin?: () => void
  ): Promise<FaultEffect | undefined> {
    if (this.#off !== undefined) throw this.#off
    if (kind !== 'read') this.#operationCount += 1
    const operation = { number: this.#operationCount, kind, path: normalise(path), position, length }
    const effect = this.#faults.strike(operation)
    if (effect === undefined) begin?.()
    if (kind !== 'read') this.#options.onOperation?.(operation)
    // The hook may have cut the power, which the compiler cannot see.
    const off = this.#off as DiskError | undefined
    if (off !== undefined) throw off
    await this.#complete(operation)
    return effect
  }

  #complete(operation: DiskOperation): Promise<void> {
    const latencyMs = this.#options.latencyMs?.(operation, this.#random.nextUint32() / 0x1_0000_0000) ?? 0
    return new Promise((resolve, reject) => {
      this.#inFlight.add(reject)
      this.#completions.add(latencyMs, () => {
        if (this.#inFlight.delete(reject)) resolve()
      })
    })
  }

  async #performOrFail(kind: DiskOperation['kind'], path: string, begin?: () => void): Promise<void> {
    const effect = await this.#perform(kind, path, 0, 0, begin)
    if (effect?.kind === 'fail') throw new DiskError('IO', path, `${kind} failed: EIO`)
  }

  #claimSectors(path: string, inode: Inode, start: number, end: number): void {
    const needed = inode.sectorsNeeded(start, end)
    // What has its sectors already can be written over, however full the disk is.
    if (needed > 0 && (this.#sectorsUsed + needed) * SECTOR_BYTES > this.#capacityBytes) {
      throw new DiskError('NO_SPACE', path, `the disk is full: ENOSPC`)
    }
    inode.reserve(start, end)
    this.#sectorsUsed += needed
  }

  #unlink(inode: Inode): void {
    inode.linkCount -= 1
    this.#freeIfUnused(inode)
  }

  #freeIfUnused(inode: Inode): void {
    if (inode.linkCount === 0 && inode.openCount === 0) this.#sectorsUsed -= inode.image.usedSectors()
  }

  #inodeAt(path: string): Inode | undefined {
    const node = this.#namespace.find(path)
    return node instanceof Inode ? node : undefined
  }

  #parent(path: string): { directory: Directory; name: string } {
    const parent = this.#namespace.parent(path)
    if (parent === undefined) throw new DiskError('NOT_FOUND', path, 'its folder is missing')
    return parent
  }
}

function normalise(path: string): string {
  return '/' + namesOf(path).join('/')
}

function normalised(target: FaultTarget): FaultTarget {
  return target.path === undefined ? target : { ...target, path: normalise(target.path) }
}

function fateOf(policy: CrashPolicy, random: SeededRandom): FateOf {
  if (policy === 'drop-all') return () => 'dropped'
  if (policy === 'keep-all') return () => 'kept'
  if (policy === 'tear-all') return kind => (kind === 'data' ? 'torn' : 'kept')
  if (policy !== 'random') return policy
  // Drawn once per crash, so that crashes which keep nearly all or nearly nothing are as common as the mixed ones.
  const keep = random.below(5) / 4
  const keepMetadata = [0, 0.5, 0.9, 0.99, 1][random.below(5)] ?? 1
  return kind => {
    if (kind === 'metadata') return random.chance(keepMetadata) ? 'kept' : 'dropped'
    if (random.chance(keep)) return 'kept'
    return random.chance(0.4) ? 'torn' : 'dropped'
  }
}

function* inodesOf(directory: Directory): Generator<Inode> {
  for (const node of directory.entries.values() as Iterable<Node>) {
    if (node instanceof Inode) yield node
    else yield* inodesOf(node)
  }
}
