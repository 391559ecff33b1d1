/**
 * Puts of all groups of a shard, gathered: those of one turn, and those that come while a transaction is under way, share the
 * next one. An election of a thousand groups costs a few transactions, not a thousand.
 *
 * Puts become durable in the order in which they were asked for; a later value of a key replaces an earlier one that was not
 * yet written. When the store fails nothing is called back any more.
 */
import type { StateStore } from '@milena/storage-engine'

export class StateWriter {
  readonly #state: StateStore
  readonly #nextTurn: (task: () => void) => void
  #changes = new Map<string, Uint8Array | undefined>()
  #callbacks: (() => void)[] = []
  #scheduled = false
  #writing = false

  constructor(state: StateStore, nextTurn: (task: () => void) => void) {
    this.#state = state
    this.#nextTurn = nextTurn
  }

  /** `saved` runs when the value, or a later one of the same key, is durable. Undefined removes. */
  put(key: string, value: Uint8Array | undefined, saved: () => void): void {
    this.#changes.set(key, value)
    this.#callbacks.push(saved)
    if (this.#scheduled || this.#writing) return
    this.#scheduled = true
    this.#nextTurn(() => {
      this.#scheduled = false
      void this.#write()
    })
  }

  /** Several, in one transaction with whatever else is written by then. Resolves when they are durable. */
  putAll(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    return new Promise(resolve => {
      let left = changes.size
      if (left === 0) return resolve()
      const saved = (): void => void (--left === 0 && resolve())
      for (const [key, value] of changes) this.put(key, value, saved)
    })
  }

  async #write(): Promise<void> {
    this.#writing = true
    while (this.#changes.size > 0) {
      const changes = this.#changes
      const callbacks = this.#callbacks
      this.#changes = new Map()
      this.#callbacks = []
      try {
        await this.#state.putAll(changes)
      } catch {
        // The store has failed and says so itself; nothing more will be durable.
        return
      }
      for (const saved of callbacks) saved()
    }
    this.#writing = false
  }
}
