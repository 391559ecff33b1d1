/**
 * The state backend in memory, for tests and the embedded broker. A `MemoryStateDevice` outlives its backends the way a file
 * outlives a process: `crash` ends the open backend, and each commit that had not resolved is kept or lost as the given random
 * source says, in order (a later one never survives an earlier one that was lost).
 */
import { StoreError } from '../errors.ts'
import type { StateBackend } from '../store-options.ts'

type Changes = ReadonlyMap<string, Uint8Array | undefined>

export interface MemoryStateFaults {
  /** Called before each commit becomes durable; a thrown error rejects the commit. */
  beforeCommit?: (changes: Changes) => void
  /** How long commits take: called with the continuation. Default: a microtask. */
  delay?: (done: () => void) => void
}

export class MemoryStateDevice {
  readonly #durable = new Map<string, Uint8Array>()
  #pending: Changes[] = []
  #generation = 0
  faults: MemoryStateFaults = {}

  /** Opens the device; one backend at a time. */
  open(): Promise<StateBackend> {
    return Promise.resolve(this.#backend(++this.#generation))
  }

  /** Power loss. `random` gives numbers in [0, 1). */
  crash(random: () => number): void {
    this.#generation++
    for (const changes of this.#pending.splice(0)) {
      if (random() < 0.5) break
      this.#apply(changes)
    }
  }

  /** Loses everything, as a deleted data file does. */
  erase(): void {
    this.#durable.clear()
  }

  /** Flips one bit of the stored bytes of a key. */
  corrupt(key: string, bit: number): void {
    const bytes = this.#durable.get(key)
    if (bytes === undefined) throw new Error(`no key ${key}`)
    const copy = bytes.slice()
    const at = (bit >> 3) % copy.length
    copy[at] = copy[at]! ^ (1 << (bit & 7))
    this.#durable.set(key, copy)
  }

  /** What is durable now, for looking at while a backend is open. */
  view(): StateBackend {
    return {
      get: key => this.#durable.get(key)?.slice(),
      commit: () => Promise.reject(new StoreError('CLOSED', 'it is for looking at')),
      keys: prefix => this.rawKeys().filter(key => key.startsWith(prefix)),
      close: () => Promise.resolve()
    }
  }

  rawKeys(): string[] {
    return [...this.#durable.keys()].sort()
  }

  #apply(changes: Changes): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.#durable.delete(key)
      else this.#durable.set(key, value.slice())
    }
  }

  #backend(generation: number): StateBackend {
    const check = () => {
      if (generation !== this.#generation) throw new StoreError('CLOSED', 'this backend is gone')
    }
    return {
      get: key => {
        check()
        return this.#durable.get(key)?.slice()
      },
      commit: changes => {
        check()
        this.faults.beforeCommit?.(changes)
        this.#pending.push(changes)
        return new Promise(resolve => {
          const delay = this.faults.delay ?? queueMicrotask
          delay(() => {
            if (generation !== this.#generation) return
            this.#pending.shift()
            this.#apply(changes)
            resolve()
          })
        })
      },
      keys: prefix => {
        check()
        return [...this.#durable.keys()].filter(key => key.startsWith(prefix)).sort()
      },
      close: () => Promise.resolve()
    }
  }
}
