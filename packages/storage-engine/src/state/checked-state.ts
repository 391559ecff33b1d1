/**
 * What the engine adds to a raw state backend: namespaces, checksums and a second copy.
 *
 * LMDB has no page checksums (flipped bits come back as wrong values, or make keys vanish, without an error), so every value
 * carries a CRC-32C over its key and bytes, and small values are stored twice, far apart in the tree. `get` takes the copy
 * that is intact; of two intact ones, the one with the higher version (they are written in one transaction and differ only
 * after damage). Only when no copy is intact does it throw `CORRUPT`.
 *
 * ```
 *   value  0 crc u32 of (key, bytes [4, end)) | 4 version u64 | 12 bytes
 *   key    "a/" + namespace + key (first copy), "b/" + namespace + key (second copy)
 * ```
 */
import { crc32c, readUint64, viewOf, writeUint64 } from '../bytes.ts'
import { StoreError } from '../errors.ts'
import type { StateStore } from '../log-store.ts'
import type { StateBackend } from '../store-options.ts'

const headerBytes = 12
/** Values above this many bytes are stored once: they can be derived again (snapshots of folds). */
const twiceBytesMax = 16 << 10

export class CheckedState implements StateStore {
  readonly #backend: StateBackend
  readonly #namespace: string
  #failed: Error | undefined
  /** Versions grow within a run; the first one follows the largest found so far for each key. */
  readonly #onFailed: (error: Error) => void

  constructor(backend: StateBackend, namespace: string, onFailed: (error: Error) => void) {
    this.#backend = backend
    this.#namespace = namespace
    this.#onFailed = onFailed
  }

  get(key: string): Uint8Array | undefined {
    const first = this.#read('a/', key)
    const second = this.#read('b/', key)
    const best = first.version >= second.version ? first : second
    if (best.version > 0) return best.bytes
    if (first.damaged || second.damaged)
      throw new StoreError('CORRUPT', `state key ${this.#namespace}${key}: no intact copy`)
    return undefined
  }

  put(key: string, value: Uint8Array): Promise<void> {
    return this.putAll(new Map([[key, value]]))
  }

  /** `also`: changes of another namespace of the same backend, in the same transaction. */
  async putAll(
    changes: ReadonlyMap<string, Uint8Array | undefined>,
    also?: { readonly state: CheckedState; readonly changes: ReadonlyMap<string, Uint8Array | undefined> }
  ): Promise<void> {
    if (this.#failed !== undefined) throw this.#refusal()
    const raw = new Map<string, Uint8Array | undefined>()
    this.#addRaw(changes, raw)
    if (also !== undefined) also.state.#addRaw(also.changes, raw)
    try {
      await this.#backend.commit(raw)
    } catch (error) {
      this.#failed = error as Error
      this.#onFailed(error as Error)
      throw this.#refusal()
    }
  }

  #addRaw(changes: ReadonlyMap<string, Uint8Array | undefined>, raw: Map<string, Uint8Array | undefined>): void {
    for (const [key, value] of changes) {
      const version = Math.max(this.#read('a/', key).version, this.#read('b/', key).version) + 1
      const single = value === undefined || value.length > twiceBytesMax
      raw.set(`a/${this.#namespace}${key}`, value && this.#encode(key, value, version))
      raw.set(`b/${this.#namespace}${key}`, single ? undefined : this.#encode(key, value, version))
    }
  }

  keys(prefix: string): string[] {
    const found = new Set<string>()
    for (const copy of ['a/', 'b/']) {
      const start = copy.length + this.#namespace.length
      for (const key of this.#backend.keys(copy + this.#namespace + prefix)) found.add(key.slice(start))
    }
    return [...found].sort()
  }

  /** Nothing of its own to close: the backend is shared and closed by the store. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  #refusal(): StoreError {
    return new StoreError('FAILED', 'the state store failed earlier', { cause: this.#failed })
  }

  #encode(key: string, value: Uint8Array, version: number): Uint8Array {
    const bytes = new Uint8Array(headerBytes + value.length)
    const view = viewOf(bytes)
    writeUint64(view, 4, version)
    bytes.set(value, headerBytes)
    view.setUint32(0, this.#sum(key, bytes), true)
    return bytes
  }

  #read(copy: string, key: string): { version: number; damaged: boolean; bytes: Uint8Array | undefined } {
    const raw = this.#backend.get(copy + this.#namespace + key)
    if (raw === undefined) return { version: 0, damaged: false, bytes: undefined }
    const view = viewOf(raw)
    const intact = raw.length >= headerBytes && view.getUint32(0, true) === this.#sum(key, raw)
    if (!intact) return { version: 0, damaged: true, bytes: undefined }
    return { version: readUint64(view, 4), damaged: false, bytes: raw.slice(headerBytes) }
  }

  #sum(key: string, bytes: Uint8Array): number {
    return crc32c(bytes.subarray(4), crc32c(new TextEncoder().encode(this.#namespace + key)))
  }
}
