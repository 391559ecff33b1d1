/**
 * Whether a request may start now: bytes of requests in the works per shard, and for requests that bring data the host's own
 * say (its memory): reading and administration go on while a busy disk holds up producers.
 *
 * A connection whose next request may not start stops reading and stands in line here; it is called when requests finished
 * or the host opened again. Nothing is rejected: a slow broker makes slow clients, not errors.
 * Invariant: one request may run whatever its size, so that a request above the budget is slow, not impossible.
 */
import type { AdmissionPort } from '../ports.ts'

export interface AdmissionWaiter {
  /** Requests may start again: try. */
  onAdmission(): void
}

export class RequestAdmission {
  readonly #port: AdmissionPort
  readonly #bytesMax: number
  readonly #waiters = new Set<AdmissionWaiter>()
  #bytes = 0
  #waitsForPort = false

  constructor(port: AdmissionPort, bytesMax: number) {
    this.#port = port
    this.#bytesMax = bytesMax
  }

  /** Bytes of requests that started and did not finish. */
  get bytesInFlight(): number {
    return this.#bytes
  }

  /** `carriesData`: the host must be open for it, too. */
  mayEnter(byteCount: number, carriesData: boolean): boolean {
    if (carriesData && !this.#port.open) return false
    return this.#bytes === 0 || this.#bytes + byteCount <= this.#bytesMax
  }

  enter(byteCount: number): void {
    this.#bytes += byteCount
  }

  leave(byteCount: number): void {
    this.#bytes -= byteCount
    if (this.#waiters.size > 0) this.#wakeAll()
  }

  /** Stands `waiter` in line; it is called once. */
  wait(waiter: AdmissionWaiter): void {
    this.#waiters.add(waiter)
    if (this.#port.open || this.#waitsForPort) return
    this.#waitsForPort = true
    void this.#port.whenOpen().then(() => {
      this.#waitsForPort = false
      this.#wakeAll()
    })
  }

  forget(waiter: AdmissionWaiter): void {
    this.#waiters.delete(waiter)
  }

  /** Waiters only note that they should try in their next turn, so waking all is cheap and the line stays fair. */
  #wakeAll(): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.onAdmission()
  }
}
