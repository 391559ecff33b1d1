/** What many runs add up to, by level and over all. */
import type { Level, Task } from './levels.ts'
import type { RunReport } from './world/run-report.ts'

class Tally {
  runCount = 0
  violationCount = 0
  simulatedSeconds = 0
  eventCount = 0
  operationCount = 0
  /** Processor time of the worker, Node's start included. */
  cpuSeconds = 0
  /** How often each kind of fault struck; kinds that never did are there with 0. */
  readonly faults = new Map<string, number>()

  add(report: RunReport, cpuMs: number): void {
    this.runCount++
    if (report.violation !== undefined) this.violationCount++
    this.simulatedSeconds += report.simulatedMs / 1000
    this.eventCount += report.eventCount
    this.operationCount += report.operationCount
    this.cpuSeconds += cpuMs / 1000
    for (const [kind, count] of Object.entries(report.faults)) {
      this.faults.set(kind, (this.faults.get(kind) ?? 0) + count)
    }
  }

  line(wallSeconds: number): string {
    const { simulatedSeconds: simulated, cpuSeconds } = this
    return [
      `${this.runCount} runs`,
      `${(simulated / 3600).toFixed(2)} simulated hours`,
      `${(simulated / wallSeconds).toFixed(0)} x real time`,
      `${(simulated / cpuSeconds).toFixed(0)} x a core`,
      `${Math.round(this.eventCount / simulated)} events a simulated second`,
      `${Math.round(this.eventCount / cpuSeconds / 1000)} k events/s a core`,
      `${this.operationCount} operations`,
      `${this.violationCount} violations`
    ].join(', ')
  }
}

export class Figures {
  readonly #startedMs = performance.now()
  readonly #all = new Tally()
  readonly #levels = new Map<Level, Tally>()

  get runCount(): number {
    return this.#all.runCount
  }

  get violationCount(): number {
    return this.#all.violationCount
  }

  /** Simulated time by processor time: how much faster than real time it passes on a core that does nothing else. */
  get speedOfCore(): number {
    return this.#all.simulatedSeconds / this.#all.cpuSeconds
  }

  /** Whether every kind of fault of the runs so far struck so often. */
  struck(countMin: number): boolean {
    return [...this.faults()].every(({ count }) => count >= countMin)
  }

  /** Takes a report in; says so at once when its run found something. `cpuMs`: processor time that it took. */
  add(task: Task, report: RunReport, cpuMs: number): void {
    this.#all.add(report, cpuMs)
    let tally = this.#levels.get(task.level)
    if (tally === undefined) this.#levels.set(task.level, (tally = new Tally()))
    tally.add(report, cpuMs)
    if (report.violation === undefined) return
    console.log(`FAILED  ${task.level} seed ${task.seed}  ${report.violation.message}`)
    console.log(
      `        npm run test:simulation -- --level ${task.level} --seed ${task.seed} --seconds ${task.seconds} --trace`
    )
    if (!report.violation.stack.startsWith('Violation')) console.log(report.violation.stack)
  }

  /** How often each kind of fault struck at each level. */
  *faults(): Generator<{ readonly level: Level; readonly kind: string; readonly count: number }> {
    for (const [level, { faults }] of this.#levels) {
      for (const [kind, count] of [...faults].sort(byName)) yield { level, kind, count }
    }
  }

  /** As `faults`, one line a level. */
  get faultLines(): readonly string[] {
    return [...this.#levels].map(([level, { faults }]) => {
      const kinds = [...faults].sort(byName).map(([kind, count]) => `${kind} ${count}`)
      return `${level} faults: ${kinds.join(', ')}`
    })
  }

  /** One line a level: what its runs add up to, with the speed of a core. */
  get levelLines(): readonly string[] {
    return [...this.#levels].map(([level, tally]) => `${level}: ${tally.line(this.#seconds)}`)
  }

  get line(): string {
    return this.#all.line(this.#seconds)
  }

  get #seconds(): number {
    return (performance.now() - this.#startedMs) / 1000
  }
}

function byName([left]: readonly [string, number], [right]: readonly [string, number]): number {
  return left < right ? -1 : 1
}
