/** The real clock: the only place of the broker that reads time or sets timers. Real implementation of a port. */
export interface BrokerClock {
  /** Wall clock, ms since the epoch. */
  now(): number
  /** Monotonic, ms. */
  monotonic(): number
  /** Calls back once; the returned function cancels. Never keeps the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: BrokerClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  }
}

export const systemScheduler = { soon: (callback: () => void): void => void setImmediate(callback) }
