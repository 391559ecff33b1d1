/**
 * One simulated file: what readers see now, what a power cut would leave, and the operations in between.
 *
 *   in flight ──complete──► visible, un-synced ──sync / durable write──► durable
 *        └───────────────────────┴── power cut: each kept, dropped or torn at 512-byte sectors
 *
 * `image` and `size` are what readers see. `stable` holds, for exactly those sectors whose durable content differs, what is
 * on the platter. Data sectors survive independently of each other (that is reordering). Metadata (size, mapping of sectors,
 * truncation) survives as a prefix of its order, as an inode does in a journalling file system; a data sector that survived
 * but whose mapping did not reads as zeros: the fate of O_DIRECT writes into fallocated extents.
 */

import { endSector, firstSector, SECTOR_BYTES, SectorImage, type SectorState } from './sector-image.ts'
import type { SeededRandom } from '../seeded-random.ts'

/** What becomes of one un-synced operation at a power cut; `torn`: each 512-byte sector by its own. */
export type Fate = 'kept' | 'dropped' | 'torn'

/** Chooses the fate of one un-synced operation. Metadata that is not `kept` takes all later metadata of its file with it. */
export type FateOf = (kind: 'data' | 'metadata') => Fate

/** A write under way or visible but not durable. `bytes` is the caller's memory until the write completes. */
export interface PendingWrite {
  order: number
  position: number
  bytes: Uint8Array
  /** Per sector from `firstSector(position)`: 0 once something newer and durable, or a truncation, covers it. */
  live: Uint8Array
}

type Metadata =
  | { kind: 'size'; order: number; size: number }
  | { kind: 'truncate'; order: number; size: number }
  | { kind: 'map'; order: number; sectors: number[] }
  | { kind: 'allocate'; order: number; sectors: number[]; size: number }

/** What `beginSync` saw, to be made durable by `completeSync`. */
export interface SyncScope {
  readonly writes: ReadonlySet<PendingWrite>
  readonly order: number
}

type Stable = Uint8Array | 'hole' | 'allocated'

export class Inode {
  image = new SectorImage()
  size = 0
  /** Handles open on it; the space is freed when there is neither a name nor a handle. */
  openCount = 0
  /** Names that it has. */
  linkCount = 1
  stableSize = 0
  readonly stable = new Map<number, Stable>()
  readonly inFlight = new Set<PendingWrite>()
  visible: PendingWrite[] = []
  metadata: Metadata[] = []
  #order = 0

  /** Sectors of this range that have no space yet. */
  sectorsNeeded(start: number, end: number): number {
    return this.image.count('hole', firstSector(start), endSector(end))
  }

  /** Takes space for a range that is about to be written or allocated. */
  reserve(start: number, end: number): void {
    if (this.sectorsNeeded(start, end) === 0) return
    for (let sector = firstSector(start); sector < endSector(end); sector++) {
      if (this.image.state(sector) !== 'hole') continue
      this.#remember(sector, 'hole')
      this.image.setState(sector, 'allocated')
    }
  }

  /** Puts a write in flight: from now on a power cut may keep, drop or tear it. */
  beginWrite(bytes: Uint8Array, position: number): PendingWrite {
    const sectorCount = endSector(position + bytes.length) - firstSector(position)
    const write: PendingWrite = { order: 0, position, bytes, live: new Uint8Array(sectorCount).fill(1) }
    this.inFlight.add(write)
    return write
  }

  /** Makes a write visible and, when `durable`, also permanent. */
  completeWrite(write: PendingWrite, durable: boolean): void {
    this.inFlight.delete(write)
    const { position, bytes } = write
    if (bytes.length === 0) return
    const first = firstSector(position)
    const end = endSector(position + bytes.length)
    const mapped: number[] = []
    const isMapped = this.image.count('mapped', first, end) === end - first
    for (let sector = first; sector < end && !(durable && isMapped); sector++) {
      const state = isMapped ? 'mapped' : this.image.state(sector)
      if (state !== 'mapped') mapped.push(sector)
      if (!durable) this.#remember(sector, state)
    }
    if (position + bytes.length > this.size) {
      this.size = position + bytes.length
      this.metadata.push({ kind: 'size', order: this.#next(), size: this.size })
    }
    if (mapped.length > 0) this.metadata.push({ kind: 'map', order: this.#next(), sectors: mapped })
    this.image.write(bytes, position)
    write.order = this.#next()
    if (durable) this.#harden(first, end)
    else this.#publish(write, first, end)
  }

  /** A write that the device refused half way: only some sectors changed, and none of them is promised. */
  failWrite(write: PendingWrite, random: SeededRandom): void {
    this.inFlight.delete(write)
    const first = firstSector(write.position)
    for (let sector = first; sector < endSector(write.position + write.bytes.length); sector++) {
      if (random.chance(0.5)) continue
      const start = Math.max(sector * SECTOR_BYTES, write.position)
      const end = Math.min((sector + 1) * SECTOR_BYTES, write.position + write.bytes.length)
      const piece = write.bytes.slice(start - write.position, end - write.position)
      this.completeWrite(this.beginWrite(piece, start), false)
    }
  }

  beginSync(): SyncScope {
    return { writes: new Set(this.visible), order: this.#order }
  }

  /** Makes all that was visible at `beginSync` durable. */
  completeSync(scope: SyncScope): void {
    const remaining = this.visible.filter(write => !scope.writes.has(write))
    const dirty = new Set<number>()
    for (const write of remaining) forEachLive(write, sector => dirty.add(sector))
    let cutFrom = Infinity
    for (const operation of this.metadata) {
      if (operation.order > scope.order && operation.kind === 'truncate') {
        cutFrom = Math.min(cutFrom, firstSector(operation.size))
      }
    }
    const landWrite = (write: PendingWrite): void => {
      forEachLive(write, (sector, bytesOf) => {
        if (dirty.has(sector) || sector >= cutFrom) this.stable.set(sector, bytesOf())
        else this.stable.delete(sector)
      })
    }
    const landed = this.visible.filter(write => scope.writes.has(write))
    this.visible = remaining
    this.#commit(scope.order, landed, landWrite)
  }

  /**
   * A flush that failed, as Linux does it: some pages reached the device, the others are marked clean all the same, so that
   * a second flush would report success. Readers still see them; a power cut takes them.
   */
  failSync(scope: SyncScope, random: SeededRandom): void {
    const lucky = new Set([...scope.writes].filter(() => random.chance(0.5)))
    const order = random.chance(0.5) ? scope.order : 0
    for (const write of this.visible) if (scope.writes.has(write) && !lucky.has(write)) write.live.fill(0)
    this.completeSync({ writes: lucky, order })
    this.visible = this.visible.filter(write => !scope.writes.has(write))
  }

  /** Cuts or extends; returns how many sectors became free. */
  truncate(length: number): number {
    const kept = endSector(length)
    let freed = 0
    for (let sector = firstSector(length); sector < endSector(this.size); sector++) {
      const state = this.image.state(sector)
      this.#remember(sector, state)
      if (sector >= kept) {
        if (state !== 'hole') freed += 1
        this.image.setState(sector, 'hole')
      } else if (state === 'mapped') this.image.write(new Uint8Array(kept * SECTOR_BYTES - length), length)
    }
    const kind = length < this.size ? 'truncate' : 'size'
    this.size = length
    this.metadata.push({ kind, order: this.#next(), size: length })
    return freed
  }

  /** Records the reservation of a range as an operation of its own, and extends the file over it. */
  allocate(start: number, end: number): void {
    this.reserve(start, end)
    const sectors: number[] = []
    for (let sector = firstSector(start); sector < endSector(end); sector++) {
      if (this.image.state(sector) !== 'mapped') sectors.push(sector)
    }
    this.size = Math.max(this.size, end)
    this.metadata.push({ kind: 'allocate', order: this.#next(), sectors, size: this.size })
  }

  /** Flips bits in what is visible and in what is durable. */
  flipBits(position: number, bitCount: number): void {
    for (let bit = 0; bit < bitCount; bit++) {
      const at = position + (bit >> 3)
      const sector = firstSector(at)
      const byte = new Uint8Array(1)
      this.image.read(byte, at)
      if (this.image.state(sector) === 'mapped')
        this.image.write(
          byte.map(value => value ^ (1 << (bit & 7))),
          at
        )
      const stable = this.stable.get(sector)
      if (stable instanceof Uint8Array) stable[at % SECTOR_BYTES] = (stable[at % SECTOR_BYTES] ?? 0) ^ (1 << (bit & 7))
    }
  }

  /** The file as a power cut leaves it: durable content plus whatever the fates let through. */
  survivor(fateOf: FateOf, random: SeededRandom): Inode {
    const copy = this.#durableCopy()
    let metadataHolds = true
    const content = new Map<number, Uint8Array>()
    const settle = (operation: Metadata): void => {
      metadataHolds &&= fateOf('metadata') === 'kept'
      if (metadataHolds) copy.#applyMetadata(operation, content)
    }
    const visible = [...this.visible, ...this.metadata].sort((a, b) => a.order - b.order)
    for (const operation of visible) {
      if ('kind' in operation) settle(operation)
      else keepSectors(operation, fateOf('data'), random, (sector, bytes) => content.set(sector, bytes))
    }
    for (const [sector, bytes] of content) {
      if (copy.image.state(sector) === 'mapped') copy.image.write(bytes, sector * SECTOR_BYTES)
    }
    for (const write of random.shuffle([...this.inFlight])) {
      if (metadataHolds) copy.#surviveInFlight(this.#wholeSectors(write, copy.image), fateOf, random)
    }
    copy.stableSize = copy.size
    return copy
  }

  #surviveInFlight(write: PendingWrite & { end: number }, fateOf: FateOf, random: SeededRandom): void {
    const fate = fateOf('data')
    const extends_ = write.end <= this.size || fateOf('metadata') === 'kept'
    const converts = fateOf('metadata') === 'kept'
    if (fate === 'dropped') return
    if (extends_) this.size = Math.max(this.size, write.end)
    keepSectors(write, fate, random, (sector, bytes) => {
      const reachable = this.image.state(sector) === 'mapped' || (extends_ && converts)
      if (reachable && sector < endSector(this.size)) this.image.write(bytes, sector * SECTOR_BYTES)
    })
  }

  /** The write rounded out to sectors, its edges filled from `image`. */
  #wholeSectors(write: PendingWrite, image: SectorImage): PendingWrite & { end: number } {
    const first = firstSector(write.position)
    const end = write.position + write.bytes.length
    const bytes = new Uint8Array((endSector(end) - first) * SECTOR_BYTES)
    image.read(bytes, first * SECTOR_BYTES)
    bytes.set(write.bytes, write.position - first * SECTOR_BYTES)
    return { order: write.order, position: first * SECTOR_BYTES, bytes, live: write.live, end }
  }

  #durableCopy(): Inode {
    const copy = new Inode()
    copy.image = this.image.clone()
    for (const [sector, stable] of this.stable) {
      if (typeof stable === 'string') copy.image.setState(sector, stable)
      else copy.image.write(stable, sector * SECTOR_BYTES)
    }
    copy.size = this.stableSize
    return copy
  }

  #applyMetadata(operation: Metadata, content: Map<number, Uint8Array>): void {
    switch (operation.kind) {
      case 'map':
        for (const sector of operation.sectors) this.image.setState(sector, 'mapped')
        return
      case 'allocate':
        for (const sector of operation.sectors) {
          if (this.image.state(sector) === 'hole') this.image.setState(sector, 'allocated')
        }
        this.size = operation.size
        return
      case 'truncate':
        this.#cut(operation.size, content)
        this.size = operation.size
        return
      case 'size':
        this.size = operation.size
    }
  }

  #cut(length: number, content: Map<number, Uint8Array>): void {
    const kept = endSector(length)
    for (const sector of [...content.keys()]) if (sector >= kept) content.delete(sector)
    content.get(kept - 1)?.fill(0, length % SECTOR_BYTES || SECTOR_BYTES)
    for (let sector = kept; sector < endSector(this.size); sector++) this.image.setState(sector, 'hole')
    const edge = kept * SECTOR_BYTES - length
    if (edge > 0 && this.image.state(kept - 1) === 'mapped') this.image.write(new Uint8Array(edge), length)
  }

  #next(): number {
    this.#order += 1
    return this.#order
  }

  /** Keeps what is durable of a sector before its first un-synced change. */
  #remember(sector: number, state: SectorState): void {
    if (this.stable.has(sector)) return
    this.stable.set(sector, state === 'mapped' ? this.image.sector(sector) : state)
  }

  #publish(write: PendingWrite, first: number, end: number): void {
    const bytes = new Uint8Array((end - first) * SECTOR_BYTES)
    this.image.read(bytes, first * SECTOR_BYTES)
    write.bytes = bytes
    write.position = first * SECTOR_BYTES
    this.visible.push(write)
  }

  /** What is visible in these sectors is durable now, and no older write can come back over it. */
  #harden(first: number, end: number): void {
    if (this.stable.size > 0) for (let sector = first; sector < end; sector++) this.stable.delete(sector)
    for (const older of this.visible) {
      const olderFirst = firstSector(older.position)
      const from = Math.max(0, first - olderFirst)
      const to = Math.min(older.live.length, end - olderFirst)
      if (from < to) older.live.fill(0, from, to)
    }
    this.#commit(this.#order)
  }

  /** Makes metadata up to `order` durable, and `writes` with it, each in its place: a truncation cuts what came before it. */
  #commit(order: number, writes: readonly PendingWrite[] = [], land: (write: PendingWrite) => void = () => {}): void {
    const committed = this.metadata.filter(operation => operation.order <= order)
    this.metadata = this.metadata.filter(operation => operation.order > order)
    for (const operation of [...writes, ...committed].sort((a, b) => a.order - b.order)) {
      if (!('kind' in operation)) land(operation)
      else {
        if (operation.kind === 'map') this.#commitMap(operation.sectors)
        else if (operation.kind === 'allocate') this.#commitAllocate(operation.sectors)
        else if (operation.kind === 'truncate') this.#commitTruncate(operation.size, operation.order)
        if (operation.kind !== 'map') this.stableSize = operation.size
      }
    }
  }

  #commitMap(sectors: readonly number[]): void {
    for (const sector of sectors) {
      if (typeof this.stable.get(sector) === 'string') this.stable.set(sector, new Uint8Array(SECTOR_BYTES))
    }
  }

  #commitAllocate(sectors: readonly number[]): void {
    for (const sector of sectors) if (this.stable.get(sector) === 'hole') this.stable.set(sector, 'allocated')
  }

  #commitTruncate(length: number, order: number): void {
    const kept = endSector(length)
    for (const [sector, stable] of this.stable) {
      if (sector >= kept) this.stable.set(sector, 'hole')
      else if (sector === kept - 1 && stable instanceof Uint8Array)
        stable.fill(0, length % SECTOR_BYTES || SECTOR_BYTES)
    }
    for (const write of this.visible) if (write.order < order) cutWrite(write, length)
  }
}

/** A visible write that a durable truncation covers cannot come back. */
function cutWrite(write: PendingWrite, length: number): void {
  const kept = endSector(length) - firstSector(write.position)
  write.live.fill(0, Math.max(0, kept))
  const edge = length % SECTOR_BYTES
  if (edge > 0 && kept > 0) write.bytes.fill(0, (kept - 1) * SECTOR_BYTES + edge, kept * SECTOR_BYTES)
}

/** `bytesOf` copies the bytes of the sector. */
function forEachLive(write: PendingWrite, visit: (sector: number, bytesOf: () => Uint8Array) => void): void {
  const first = firstSector(write.position)
  for (let index = 0; index < write.live.length; index++) {
    if (write.live[index] !== 1) continue
    visit(first + index, () => write.bytes.slice(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES))
  }
}

function keepSectors(
  write: PendingWrite,
  fate: Fate,
  random: SeededRandom,
  keep: (sector: number, bytes: Uint8Array) => void
): void {
  if (fate === 'dropped') return
  forEachLive(write, (sector, bytesOf) => {
    if (fate === 'kept' || random.chance(0.5)) keep(sector, bytesOf())
  })
}
