/** One at a time, in the order of asking. A failed holder does not stop the next one. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve()
  #users = 0

  /** Nobody holds it or waits for it: whoever calls `run` in this turn begins at once. */
  get idle(): boolean {
    return this.#users === 0
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#users++
    const result = this.#last.then(work, work)
    const done = () => {
      this.#users--
    }
    this.#last = result.then(done, done)
    return result
  }
}
