/**
 * The memory that unread requests may take: one landing buffer shared by all connections, and a budget of own buffers.
 *
 * A connection without a partial request owns no buffer: its reads land in the shared one and are parsed there, in the same
 * turn. Only bytes that must outlive the turn (half a request, or requests that wait their turn) move to a buffer of the
 * connection's own, which grows as bytes arrive, never because a length was announced.
 *
 * Invariant: own buffers together stay within the budget, but for (a) one connection at a time that may finish its request
 * beyond it, so that many half-received requests cannot lock each other out, and (b) bytes that are already in the landing
 * buffer and must be kept: up to twice the budget beside (a), then `take` refuses and the connection is closed.
 */
import {
  FIRST_READ_BYTES,
  LANDING_BUDGET_SHARE,
  LANDING_BUFFER_BYTES,
  OWN_BUFFER_BYTES_MIN,
  POOLED_BUFFER_BYTES_MAX
} from '../settings.ts'

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
  /** What each connection holds now. */
  readonly #held = new Map<MemoryWaiter, number>()
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
    this.#held.set(owner, (this.#held.get(owner) ?? 0) + size)
    const pooled = this.#pool.get(size)?.pop()
    if (pooled === undefined) return Buffer.allocUnsafeSlow(size)
    this.#pooledBytes -= size
    return pooled
  }

  /** Takes a buffer back. The caller must not touch it again. */
  give(buffer: Uint8Array, owner: MemoryWaiter): void {
    const size = buffer.length
    this.#usedBytes -= size
    const held = (this.#held.get(owner) ?? 0) - size
    if (held > 0) this.#held.set(owner, held)
    else this.#held.delete(owner)
    if (this.#pooledBytes + size <= POOLED_BUFFER_BYTES_MAX) {
      const pooled = this.#pool.get(size)
      if (pooled === undefined) this.#pool.set(size, [buffer])
      else pooled.push(buffer)
      this.#pooledBytes += size
    }
    if (held > 0 || this.#privileged !== owner) return this.passOn()
    // The next one may exceed the budget now, even if those that wait hold all of it.
    this.#privileged = null
    this.#wakeOne()
  }

  /** How much one read may put into the landing buffer: less as the budget fills, since it may have to be kept. */
  get landingBytes(): number {
    const share = Math.floor((this.#budgetBytes - this.#usedBytes) / LANDING_BUDGET_SHARE)
    return Math.min(Math.max(share, FIRST_READ_BYTES), LANDING_BUFFER_BYTES)
  }

  /** More than half of the budget is taken: time to give back what is held for speed only. */
  get short(): boolean {
    return this.#usedBytes * 2 > this.#budgetBytes
  }

  /** A waiter got what it needed, or does not need it any more: the next one may try, if there is room. */
  passOn(): void {
    if (this.#waiters.size > 0 && this.#usedBytes < this.#budgetBytes) this.#wakeOne()
  }

  /** Puts `waiter` in line for memory; first come, first served. */
  wait(waiter: MemoryWaiter): void {
    this.#waiters.add(waiter)
  }

  /** The connection is gone: it neither waits nor exceeds any more. Its buffers are given back separately. */
  forget(waiter: MemoryWaiter): void {
    this.#waiters.delete(waiter)
    if (this.#privileged === waiter) {
      this.#privileged = null
      return this.#wakeOne()
    }
    this.passOn()
  }

  #mayExceed(size: number, owner: MemoryWaiter, must: boolean): boolean {
    if (must) return this.#usedBytes - this.#privilegedBytes() + size <= 2 * this.#budgetBytes
    if (this.#privileged !== null && this.#privileged !== owner) return false
    this.#privileged = owner
    return true
  }

  #privilegedBytes(): number {
    return this.#privileged === null ? 0 : (this.#held.get(this.#privileged) ?? 0)
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
