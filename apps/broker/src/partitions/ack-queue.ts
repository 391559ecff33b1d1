/**
 * Producers that wait for their acks, in the order of their batches: those up to an offset are answered together, those at and
 * after one are refused together, those whose time is up one by one.
 */
import type { AppendResult } from '@milena/gateway'

interface Waiter {
  /** Answered when everything below is flushed, or committed. */
  readonly untilOffset: number
  /** Monotonic ms. */
  readonly deadlineMs: number
  readonly result: AppendResult
  readonly resolve: (result: AppendResult) => void
}

export class AckQueue {
  #waiters: Waiter[] = []
  /** No waiter's deadline is before. */
  #earliestMs = Infinity

  get isEmpty(): boolean {
    return this.#waiters.length === 0
  }

  /** The offset that the first one waits for; `Infinity` when nobody does. */
  get firstOffset(): number {
    return this.#waiters[0]?.untilOffset ?? Infinity
  }

  /** Resolves with `result` once everything below `untilOffset` is reached, or with a refusal. */
  wait(untilOffset: number, deadlineMs: number, result: AppendResult): Promise<AppendResult> {
    if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs
    return new Promise(resolve => this.#waiters.push({ untilOffset, deadlineMs, result, resolve }))
  }

  /**
   * Answers those who wait for no more than `offset`. A duplicate of an old batch may stand behind a newer one; it is answered
   * with it, never earlier than it may.
   */
  answerUpTo(offset: number, refusal?: AppendResult): void {
    const waiters = this.#waiters
    let done = 0
    for (let waiter = waiters[0]; waiter !== undefined && waiter.untilOffset <= offset; waiter = waiters[done]) {
      waiter.resolve(refusal ?? waiter.result)
      done++
    }
    if (done === waiters.length) this.#forgetAll()
    else if (done > 0) this.#waiters = waiters.slice(done)
  }

  /** Refuses those who wait for more than `offset`. */
  refuseBeyond(offset: number, refusal: AppendResult): void {
    if (this.#waiters.length === 0) return
    const lost = this.#waiters.filter(waiter => waiter.untilOffset > offset)
    this.#waiters = this.#waiters.filter(waiter => waiter.untilOffset <= offset)
    for (const waiter of lost) waiter.resolve(refusal)
  }

  refuseAll(refusal: AppendResult): void {
    const waiters = this.#waiters
    this.#forgetAll()
    for (const waiter of waiters) waiter.resolve(refusal)
  }

  /** Refuses those whose time is up. */
  expire(nowMs: number, refusal: AppendResult): void {
    if (nowMs < this.#earliestMs) return
    const late = this.#waiters.filter(waiter => waiter.deadlineMs <= nowMs)
    this.#waiters = this.#waiters.filter(waiter => waiter.deadlineMs > nowMs)
    this.#earliestMs = Infinity
    for (const { deadlineMs } of this.#waiters) if (deadlineMs < this.#earliestMs) this.#earliestMs = deadlineMs
    for (const waiter of late) waiter.resolve(refusal)
  }

  #forgetAll(): void {
    this.#waiters = []
    this.#earliestMs = Infinity
  }
}
