/**
 * The memory that unread requests may take: one landing buffer shared by all connections, and a budget of own buffers.
 *
 * A connection without a partial request owns no buffer: its reads land in the shared one and are parsed there, in the same
 * turn. Only bytes that must outlive the turn (half a request, or requests that wait their turn) move to a buffer of the
 * connection's own, which grows as bytes arrive, never because a length was announced.
 *
 * Invariant: own buffers together stay within the budget, but for (a) one connection at a time that may finish its request
 * beyond it, so that many half-received requests cannot lock each other out, and (b) bytes that are already in the landing
 * buffer and must be kept: up to twice the budget, then `take` refuses and the connection is closed.
 */
import { LANDING_BUFFER_BYTES, OWN_BUFFER_BYTES_MIN, POOLED_BUFFER_BYTES_MAX } from '../settings.ts'

/** A connection that waits for memory. */
export interface MemoryWaiter {
  /** There may be room now: try again. Runs at most once for each time `wait` was called. */
  onMemory(): void
}

export class ReceiveMemory {
  /** Shared by every connection of the gateway: valid only until the read callback returns. */
  readonly landing: Uint8Array = new Uint8Array(LANDING_BUFFER_BYTES)
  readonly #budgetBytes: number
  readonly #pool = new Map<number, Uint8Array[]>()
  readonly #waiters = new Set<MemoryWaiter>()
  #pooledBytes = 0
  #usedBytes = 0
  #privileged: MemoryWaiter | null = null

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** Bytes in buffers that connections hold now. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes kept for reuse. */
  get pooledBytes(): number {
    return this.#pooledBytes
  }

  /**
   * A buffer of at least `bytes` (a power of two, not cleared), or null when the budget is spent. `must` says that received
   * bytes would be lost without it: refused only beyond twice the budget.
   */
  take(bytes: number, owner: MemoryWaiter, must: boolean): Uint8Array | null {
    const size = bufferSize(bytes)
    if (this.#usedBytes + size > this.#budgetBytes && !this.#mayExceed(size, owner, must)) return null
    this.#usedBytes += size
    const pooled = this.#pool.get(size)?.pop()
    if (pooled === undefined) return Buffer.allocUnsafeSlow(size)
    this.#pooledBytes -= size
    return pooled
  }

  /** Takes a buffer back. The caller must not touch it again. */
  give(buffer: Uint8Array, owner: MemoryWaiter): void {
    const size = buffer.length
    this.#usedBytes -= size
    if (this.#privileged === owner) this.#privileged = null
    if (this.#pooledBytes + size <= POOLED_BUFFER_BYTES_MAX) {
      const pooled = this.#pool.get(size)
      if (pooled === undefined) this.#pool.set(size, [buffer])
      else pooled.push(buffer)
      this.#pooledBytes += size
    }
    if (this.#waiters.size > 0 && this.#usedBytes < this.#budgetBytes) this.#wakeOne()
  }

  /** Puts `waiter` in line for memory; first come, first served. */
  wait(waiter: MemoryWaiter): void {
    this.#waiters.add(waiter)
  }

  /** The connection is gone: it neither waits nor exceeds any more. Its buffers are given back separately. */
  forget(waiter: MemoryWaiter): void {
    this.#waiters.delete(waiter)
    if (this.#privileged !== waiter) return
    this.#privileged = null
    this.#wakeOne()
  }

  #mayExceed(size: number, owner: MemoryWaiter, must: boolean): boolean {
    if (must) return this.#usedBytes + size <= 2 * this.#budgetBytes
    if (this.#privileged !== null && this.#privileged !== owner) return false
    this.#privileged = owner
    return true
  }

  #wakeOne(): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter)
      return waiter.onMemory()
    }
  }
}

/** Smallest power of two, from OWN_BUFFER_BYTES_MIN up, that holds `bytes`. */
export function bufferSize(bytes: number): number {
  let size = OWN_BUFFER_BYTES_MIN
  while (size < bytes) size *= 2
  return size
}
