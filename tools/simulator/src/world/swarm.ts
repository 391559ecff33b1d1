/**
 * Which faults strike and how often: drawn from the seed as a random subset of kinds with random rates, and drawn again every
 * 30 simulated seconds (swarm testing). Some periods are without faults, some with one kind only: a fault that hides another
 * would otherwise hide it in every run.
 */
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** A kind of fault. */
export interface FaultKind {
  readonly name: string
  /** Mean time between two, ms, when it is most frequent and when it is least. */
  readonly intervalMs: readonly [number, number]
  /** Makes it happen; false when it cannot now (then it is not counted). */
  strike(): boolean
}

/** How long one selection holds. */
const PERIOD_MS = 30_000

export class Swarm {
  /** How often each kind struck. */
  readonly counts = new Map<string, number>()
  readonly #world: World
  readonly #random: Random
  readonly #kinds: readonly FaultKind[]
  readonly #without: readonly string[]
  #period = 0

  /** `without`: kinds that never strike, to find out which one matters. */
  constructor(world: World, kinds: readonly FaultKind[], without: readonly string[] = []) {
    this.#world = world
    this.#random = world.random.of('swarm')
    this.#kinds = kinds
    this.#without = without
    for (const { name } of kinds) this.counts.set(name, 0)
  }

  /** Begins, and draws anew every 30 s until `stop`. */
  start(): void {
    const period = ++this.#period
    this.#draw(period)
    this.#world.schedule(PERIOD_MS, () => {
      if (period === this.#period) this.start()
    })
  }

  stop(): void {
    this.#period++
  }

  /** Counts a fault that strikes by itself (a lost message, a torn write). */
  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  #draw(period: number): void {
    // None, few, about half, or most of the kinds.
    const share = this.#random.pick([0, 0.15, 0.5, 0.5, 0.85])
    for (const kind of this.#kinds) {
      if (this.#random.chance(share)) this.#plan(kind, this.#random.logUniform(...kind.intervalMs), period)
    }
  }

  #plan(kind: FaultKind, intervalMs: number, period: number): void {
    this.#world.schedule(this.#random.exponential(intervalMs), () => {
      if (period !== this.#period) return
      if (!this.#without.includes(kind.name) && kind.strike()) {
        this.count(kind.name)
        this.#world.trace.note(kind.name, -1)
        if (this.#world.trace.printing) this.#world.trace.line('fault', kind.name, '')
      }
      this.#plan(kind, intervalMs, period)
    })
  }
}
