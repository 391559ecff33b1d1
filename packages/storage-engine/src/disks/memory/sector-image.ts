/**
 * The sectors of one simulated file: bytes plus, per 512-byte sector, what the file system knows of it.
 *
 *   hole ──allocate──► allocated (reserved, unwritten: reads zeros) ──write──► mapped (holds data)
 *
 * Sparse: chunks of 128 sectors appear when touched. A sector that is not mapped always reads as zeros. Copies share chunks
 * until one of them changes one: a disk that loses power often is not copied each time.
 */

/** Granule of atomicity: a power cut leaves a sector either old or new. */
export const SECTOR_BYTES = 512

const CHUNK_SECTORS = 128
const CHUNK_BYTES = CHUNK_SECTORS * SECTOR_BYTES

/** State of a sector: see the drawing above. */
export type SectorState = 'hole' | 'allocated' | 'mapped'

const STATES: readonly SectorState[] = ['hole', 'allocated', 'mapped']
const MAPPED = 2

interface Chunk {
  readonly bytes: Uint8Array
  readonly states: Uint8Array
  /** The image that may change it; undefined when several share it. */
  owner: SectorImage | undefined
}

export class SectorImage {
  readonly #chunks = new Map<number, Chunk>()

  state(sector: number): SectorState {
    const chunk = this.#chunks.get(Math.floor(sector / CHUNK_SECTORS))
    return STATES[chunk?.states[sector % CHUNK_SECTORS] ?? 0] ?? 'hole'
  }

  /** How many sectors of `[first, end)` are in this state. */
  count(wanted: SectorState, first: number, end: number): number {
    const code = STATES.indexOf(wanted)
    let found = 0
    for (let sector = first; sector < end;) {
      const index = Math.floor(sector / CHUNK_SECTORS)
      const until = Math.min(end, (index + 1) * CHUNK_SECTORS)
      const states = this.#chunks.get(index)?.states
      if (states === undefined) found += code === 0 ? until - sector : 0
      else {
        for (let slot = sector % CHUNK_SECTORS; slot < until - index * CHUNK_SECTORS; slot++) {
          if (states[slot] === code) found++
        }
      }
      sector = until
    }
    return found
  }

  /** Leaving `mapped` zeroes the bytes. */
  setState(sector: number, state: SectorState): void {
    const chunk = this.#chunk(Math.floor(sector / CHUNK_SECTORS))
    const slot = sector % CHUNK_SECTORS
    if (state !== 'mapped' && chunk.states[slot] === MAPPED) {
      chunk.bytes.fill(0, slot * SECTOR_BYTES, (slot + 1) * SECTOR_BYTES)
    }
    chunk.states[slot] = STATES.indexOf(state)
  }

  /** Fills `target` with the bytes from `position`; zeros where nothing is mapped. */
  read(target: Uint8Array, position: number): void {
    let done = 0
    while (done < target.length) {
      const at = position + done
      const within = at % CHUNK_BYTES
      const take = Math.min(CHUNK_BYTES - within, target.length - done)
      const chunk = this.#chunks.get(Math.floor(at / CHUNK_BYTES))
      if (chunk === undefined) target.fill(0, done, done + take)
      else target.set(chunk.bytes.subarray(within, within + take), done)
      done += take
    }
  }

  /** Stores bytes and maps the sectors that they touch. */
  write(bytes: Uint8Array, position: number): void {
    let done = 0
    while (done < bytes.length) {
      const at = position + done
      const within = at % CHUNK_BYTES
      const take = Math.min(CHUNK_BYTES - within, bytes.length - done)
      const chunk = this.#chunk(Math.floor(at / CHUNK_BYTES))
      chunk.bytes.set(bytes.subarray(done, done + take), within)
      chunk.states.fill(MAPPED, Math.floor(within / SECTOR_BYTES), Math.ceil((within + take) / SECTOR_BYTES))
      done += take
    }
  }

  /** A copy of one sector. */
  sector(sector: number): Uint8Array {
    const bytes = new Uint8Array(SECTOR_BYTES)
    this.read(bytes, sector * SECTOR_BYTES)
    return bytes
  }

  /** Sectors that are allocated or mapped. */
  usedSectors(): number {
    let used = 0
    for (const chunk of this.#chunks.values()) for (const state of chunk.states) if (state !== 0) used += 1
    return used
  }

  clone(): SectorImage {
    const copy = new SectorImage()
    for (const [index, chunk] of this.#chunks) {
      chunk.owner = undefined
      copy.#chunks.set(index, chunk)
    }
    return copy
  }

  /** A chunk of its own, to be changed. */
  #chunk(index: number): Chunk {
    const chunk = this.#chunks.get(index)
    if (chunk?.owner === this) return chunk
    const own: Chunk = {
      bytes: chunk?.bytes.slice() ?? new Uint8Array(CHUNK_BYTES),
      states: chunk?.states.slice() ?? new Uint8Array(CHUNK_SECTORS),
      owner: this
    }
    this.#chunks.set(index, own)
    return own
  }
}

/** First sector that a byte range touches. */
export function firstSector(position: number): number {
  return Math.floor(position / SECTOR_BYTES)
}

/** One after the last sector that ends before or at `end` bytes. */
export function endSector(end: number): number {
  return Math.ceil(end / SECTOR_BYTES)
}
