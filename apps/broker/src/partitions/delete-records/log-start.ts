/**
 * Where the log of a replica begins, as far as records are deleted on request (DeleteRecords). What is wanted stands in the
 * cluster's metadata, so that every replica comes to know it, also one that was away or is yet to come; each drops the records
 * by itself as soon as it knows them to be committed.
 *
 *     leader: checks ─► controller: `delete-records`, durable ─► every replica: moveTo ─► trim (durable) ─► leader answers
 *
 * A log can begin inside a batch, as in Kafka: the batch stays, and clients skip its records below.
 */
import { StoreError } from '@milena/storage-engine'
import type { ReplicatedLog } from '../../replication/contract.ts'

export class LogStart {
  readonly #group: () => ReplicatedLog
  #wanted = 0
  #trimming = false
  /** Could not be done, because what is there cannot be read or written: tried again for another offset, or by the next start. */
  #failedAt = -1
  #waiters: { readonly offset: number; readonly resolve: () => void }[] = []

  constructor(group: () => ReplicatedLog) {
    this.#group = group
  }

  /** Records below `offset` are deleted. What was wanted before and is higher counts no more after an unclean recovery. */
  moveTo(offset: number): void {
    this.#wanted = offset
    this.advanced()
  }

  /** The replica knows more to be committed. */
  advanced(): void {
    if (!this.#isBehind() || this.#trimming) return
    this.#trimming = true
    void this.#trim().finally(() => (this.#trimming = false))
  }

  /** Resolves when the log begins at `offset` or later, durably; possibly never. `cancel` ends the wait. */
  whenAt(offset: number, onReached: () => void): () => void {
    if (this.#group().log.startOffset >= offset) {
      onReached()
      return () => undefined
    }
    const waiter = { offset, resolve: onReached }
    this.#waiters.push(waiter)
    return () => (this.#waiters = this.#waiters.filter(other => other !== waiter))
  }

  #isBehind(): boolean {
    const group = this.#group()
    const wanted = this.#wanted
    return wanted > group.log.startOffset && wanted <= group.committedOffset && wanted !== this.#failedAt
  }

  async #trim(): Promise<void> {
    const group = this.#group()
    while (this.#isBehind()) {
      const wanted = this.#wanted
      try {
        await group.trim(wanted)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        if (error.code === 'CORRUPT') group.noteDamage()
        this.#failedAt = wanted
        return
      }
      const { startOffset } = group.log
      this.#answer(startOffset)
      // Not all of it is durable here yet.
      if (startOffset < wanted) return
    }
  }

  #answer(startOffset: number): void {
    const reached = this.#waiters.filter(({ offset }) => offset <= startOffset)
    if (reached.length === 0) return
    this.#waiters = this.#waiters.filter(({ offset }) => offset > startOffset)
    for (const { resolve } of reached) resolve()
  }
}
