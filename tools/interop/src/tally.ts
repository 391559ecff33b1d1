/** Runs checks, prints one line for each as it ends, and keeps the score. */
import { Skip } from './client.ts'

export class Tally {
  #passed = 0
  #failed = 0
  #skipped = 0
  readonly #started = performance.now()
  readonly #failures: string[] = []

  get failed(): number {
    return this.#failed
  }

  section(title: string): void {
    console.log(`\n${title}`)
  }

  /** Whether the check passed. Never rejects. */
  async check(subject: string, title: string, run: () => Promise<void>): Promise<boolean> {
    const from = performance.now()
    try {
      await run()
    } catch (error) {
      if (error instanceof Skip) this.skip(subject, title, error.message)
      else this.fail(subject, title, error)
      return false
    }
    this.#passed++
    console.log(`  pass  ${subject.padEnd(20)} ${title} (${((performance.now() - from) / 1000).toFixed(1)} s)`)
    return true
  }

  fail(subject: string, title: string, error: unknown): void {
    this.#failed++
    const text = error instanceof Error ? error.message : String(error)
    this.#failures.push(`${subject}: ${title}`)
    console.log(`  FAIL  ${subject.padEnd(20)} ${title}\n${text.trim().replace(/^/gm, '          ')}`)
  }

  skip(subject: string, title: string, reason: string): void {
    this.#skipped++
    console.log(`  skip  ${subject.padEnd(20)} ${title}: ${reason}`)
  }

  summary(): void {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(0)
    for (const failure of this.#failures) console.log(`failed: ${failure}`)
    console.log(`\n${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped in ${seconds} s`)
  }
}
