/**
 * Page-aligned memory for direct I/O: taken from the system once, handed out, taken back, handed out again.
 *
 * Nothing is ever unmapped: a `Uint8Array` over an unmapped region crashes the process when it is touched, and no one can
 * know that the last view is gone. So memory in use only grows to the high-water mark of what was held at the same time.
 * The arenas are process-wide (one per source): a disk that is closed leaves its pages to the next one.
 *
 * Pages from the system are zero and cost nothing until they are touched; a caller that cannot afford page faults later (1 s
 * of CPU per GB) touches them once at start.
 */
import { DiskError } from '../errors.ts'
import type { AlignedBuffer } from '../disk.ts'
import { registerAlignedMemory } from './file-guard.ts'

/** Bytes of a page here; every allocation is a multiple of it, and starts at one. */
export const PAGE_BYTES = 4096

/** Allocations up to this size share one mapping of `CHUNK_BYTES`. */
const CHUNK_BYTES = 1 << 20

/** Takes page-aligned, zeroed memory from the system, for ever. Throws when there is none. */
export type PageSource = (bytes: number) => ArrayBuffer

export class PageArena {
  readonly #source: PageSource
  readonly #free = new Map<number, Uint8Array[]>()
  #chunk: ArrayBuffer | undefined
  #chunkUsed = 0

  constructor(source: PageSource) {
    this.#source = source
  }

  /** Zeroed memory of at least `bytes`, rounded up to pages. Throws `NO_MEMORY`. */
  allocate(bytes: number): AlignedBuffer {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new DiskError('NO_MEMORY', '', `${bytes} is not a number of bytes`)
    }
    const rounded = Math.max(1, Math.ceil(bytes / PAGE_BYTES)) * PAGE_BYTES
    const reused = this.#free.get(rounded)?.pop()
    reused?.fill(0)
    const view = reused ?? this.#take(rounded)
    let released = false
    const release = (): void => {
      if (released) return
      released = true
      const free = this.#free.get(rounded)
      if (free === undefined) this.#free.set(rounded, [view])
      else free.push(view)
    }
    return { bytes: view, release }
  }

  #take(bytes: number): Uint8Array {
    if (bytes > CHUNK_BYTES / 2) return new Uint8Array(this.#map(bytes), 0, bytes)
    if (this.#chunk === undefined || this.#chunkUsed + bytes > CHUNK_BYTES) {
      this.#chunk = this.#map(CHUNK_BYTES)
      this.#chunkUsed = 0
    }
    const view = new Uint8Array(this.#chunk, this.#chunkUsed, bytes)
    this.#chunkUsed += bytes
    return view
  }

  #map(bytes: number): ArrayBuffer {
    try {
      const memory = this.#source(bytes)
      registerAlignedMemory(memory, PAGE_BYTES)
      return memory
    } catch (cause) {
      throw new DiskError('NO_MEMORY', '', `no ${bytes} bytes of page-aligned memory`, { cause })
    }
  }
}

const WASM_PAGE_BYTES = 65_536

/** The part of the engine's global that is used here; the type library for Node leaves it out. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
}

/**
 * Page-aligned memory without FFI. A JavaScript ArrayBuffer does not tell its address, and malloc'ed ones start 16 bytes
 * behind a page; the memory of a WebAssembly instance is mapped by the engine and starts at a page. Nobody specifies that, so
 * `openDisk` proves it with a real O_DIRECT write before it relies on it.
 */
export function webAssemblyPages(bytes: number): ArrayBuffer {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer
}
