/**
 * Counts open connections, in total and per remote address, against `max.connections` and `max.connections.per.ip`. Limits that
 * fall close nothing: they hold for who comes next.
 */
import type { ConnectionLimits } from '../ports.ts'

export class ConnectionQuota {
  readonly #limits: () => ConnectionLimits
  readonly #perAddress = new Map<string, number>()
  #count = 0

  /** `limits`: those that hold now. */
  constructor(limits: () => ConnectionLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#count
  }

  /** Counts a connection from `address` in; false when that would be one too many. */
  enter(address: string): boolean {
    const fromAddress = this.#perAddress.get(address) ?? 0
    const { maxConnections, maxConnectionsPerIp } = this.#limits()
    if (this.#count >= maxConnections || fromAddress >= maxConnectionsPerIp) return false
    this.#count++
    this.#perAddress.set(address, fromAddress + 1)
    return true
  }

  /** Counts a connection that `enter` accepted out again. */
  leave(address: string): void {
    const fromAddress = this.#perAddress.get(address) ?? 0
    this.#count--
    if (fromAddress <= 1) this.#perAddress.delete(address)
    else this.#perAddress.set(address, fromAddress - 1)
  }
}
