/** P22, P23: the high watermark and the end that leaders tell one reader never go back, also when leadership moves. */
import type { ClusterChecker, ClusterHistory, Reader } from '../history.ts'

export class WatermarksRise implements ClusterChecker {
  readonly name = 'watermarks-rise'
  readonly #history: ClusterHistory
  readonly #highest = new WeakMap<Reader, number>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  watermark(reader: Reader, watermark: number): void {
    const before = this.#highest.get(reader) ?? 0
    if (watermark < before) {
      const explanation = `${reader.history.name}: ${reader.name} is told ${watermark} after ${before}`
      this.#history.world.violated(this.name, explanation)
    }
    this.#highest.set(reader, watermark)
  }
}
