/** What many runs add up to. */
import type { Task } from './levels.ts'
import type { RunReport } from './world/run-report.ts'

export class Figures {
  violationCount = 0
  readonly #startedMs = performance.now()
  readonly #faults = new Map<string, number>()
  #runCount = 0
  #simulatedMs = 0
  #eventCount = 0
  #operationCount = 0

  /** Takes a report in; says so at once when its run found something. */
  add(task: Task, report: RunReport): void {
    this.#runCount++
    this.#simulatedMs += report.simulatedMs
    this.#eventCount += report.eventCount
    this.#operationCount += report.operationCount
    for (const [kind, count] of Object.entries(report.faults)) {
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count)
    }
    if (report.violation === undefined) return
    this.violationCount++
    console.log(`FAILED  ${task.level} seed ${task.seed}  ${report.violation.message}`)
    console.log(
      `        npm run test:simulation -- --level ${task.level} --seed ${task.seed} --seconds ${task.seconds} --trace`
    )
    if (!report.violation.stack.startsWith('Violation')) console.log(report.violation.stack)
  }

  /** How often each kind of fault struck. */
  get faults(): string {
    const kinds = [...this.#faults].sort(([left], [right]) => (left < right ? -1 : 1))
    return `faults: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}`
  }

  get line(): string {
    const seconds = (performance.now() - this.#startedMs) / 1000
    const simulated = this.#simulatedMs / 1000
    return [
      `${this.#runCount} runs`,
      `${(simulated / 3600).toFixed(2)} simulated hours`,
      `${(simulated / seconds).toFixed(0)} x real time`,
      `${Math.round(this.#eventCount / simulated)} events a simulated second`,
      `${Math.round(this.#eventCount / seconds / 1000)} k events/s`,
      `${this.#operationCount} operations`,
      `${this.violationCount} violations`
    ].join(', ')
  }
}
