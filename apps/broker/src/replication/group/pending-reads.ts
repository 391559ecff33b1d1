/** Users of a leader that wait until it is confirmed that it still leads. */

interface Pending {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class PendingReads {
  readonly #pending = new Map<number, Pending>()
  #next = 1

  /** `begin` is given the number that the outcome will be told under. */
  wait(begin: (request: number) => void): Promise<void> {
    const request = this.#next++
    return new Promise((resolve, reject) => {
      this.#pending.set(request, { resolve, reject })
      begin(request)
    })
  }

  /** Confirmed, or (with an error) not. */
  end(request: number, error: Error | undefined): void {
    const pending = this.#pending.get(request)
    this.#pending.delete(request)
    if (error === undefined) pending?.resolve()
    else pending?.reject(error)
  }

  endAll(error: Error): void {
    for (const request of [...this.#pending.keys()]) this.end(request, error)
  }
}
