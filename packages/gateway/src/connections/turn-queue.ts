/**
 * Work that is done once per event-loop turn: flushing responses, going on with requests that waited.
 *
 * Whoever schedules itself runs once in the next check phase (setImmediate), after all sockets that were readable in this
 * turn have been read: answers to many requests of one turn so leave in one write.
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

  schedule(taker: TurnTaker): void {
    if (taker.scheduled) return
    taker.scheduled = true
    this.#takers.push(taker)
    if (this.#immediate) return
    this.#immediate = true
    setImmediate(this.#run)
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
