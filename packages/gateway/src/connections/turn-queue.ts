/**
 * Work that is done once per event-loop turn: flushing responses, going on with requests that waited.
 *
 * Whoever schedules itself runs once in the next check phase (setImmediate), after all sockets that were readable in this
 * turn have been read: answers to many requests of one turn so leave in one write. A host with turns of its own (a simulator)
 * passes them in.
 */

export interface TurnTaker {
  /** True while in the queue; only the queue writes it. */
  scheduled: boolean
  turn(): void
}

export class TurnQueue {
  #takers: TurnTaker[] = []
  #spare: TurnTaker[] = []
  #immediate = false
  readonly #soon: (callback: () => void) => void

  constructor(soon: (callback: () => void) => void = callback => void setImmediate(callback)) {
    this.#soon = soon
  }

  schedule(taker: TurnTaker): void {
    if (taker.scheduled) return
    taker.scheduled = true
    this.#takers.push(taker)
    if (this.#immediate) return
    this.#immediate = true
    this.#soon(this.#run)
  }

  readonly #run = (): void => {
    this.#immediate = false
    const takers = this.#takers
    this.#takers = this.#spare
    this.#spare = takers
    for (const taker of takers) {
      taker.scheduled = false
      taker.turn()
    }
    takers.length = 0
  }
}
