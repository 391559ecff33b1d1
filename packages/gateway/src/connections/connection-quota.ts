/** Counts open connections, in total and per remote address, against `max.connections` and `max.connections.per.ip`. */

export class ConnectionQuota {
  readonly #connectionsMax: number
  readonly #perAddressMax: number
  readonly #perAddress = new Map<string, number>()
  #count = 0

  constructor(connectionsMax: number, perAddressMax: number) {
    this.#connectionsMax = connectionsMax
    this.#perAddressMax = perAddressMax
  }

  get count(): number {
    return this.#count
  }

  /** Counts a connection from `address` in; false when that would be one too many. */
  enter(address: string): boolean {
    const fromAddress = this.#perAddress.get(address) ?? 0
    if (this.#count >= this.#connectionsMax || fromAddress >= this.#perAddressMax) return false
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
