/**
 * Where the last readers of a log stopped: a reader that goes on there need not look for its entry, and is known to read in
 * order. Followers and consumers read the same log at the same time, each at its own place, so a few of them are remembered;
 * who has not read for longest is forgotten first. Positions are log positions.
 */
const readerCount = 4

export class Readers {
  readonly #offsets: number[] = new Array<number>(readerCount).fill(-1)
  readonly #positions: number[] = new Array<number>(readerCount).fill(-1)
  readonly #lastUses: number[] = new Array<number>(readerCount).fill(0)
  #useCount = 0

  /** Position of the entry that begins with `offset`, when a reader stopped before it; otherwise -1. */
  positionAt(offset: number): number {
    for (let index = 0; index < readerCount; index++)
      if (this.#offsets[index] === offset) return this.#positions[index]!
    return -1
  }

  /** Whoever stopped before `from` has read up to `offset`, which begins at `position`. */
  note(from: number, offset: number, position: number): void {
    let index = this.#offsets.indexOf(from)
    if (index < 0) index = this.#offsets.indexOf(offset)
    if (index < 0) index = this.#lastUses.indexOf(Math.min(...this.#lastUses))
    this.#offsets[index] = offset
    this.#positions[index] = position
    this.#lastUses[index] = ++this.#useCount
  }

  /** The log was cut: positions are no longer what they were. */
  forget(): void {
    this.#offsets.fill(-1)
    this.#positions.fill(-1)
  }
}
