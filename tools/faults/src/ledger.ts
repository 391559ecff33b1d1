/**
 * The ledger: a process of its own (tools/bench/kload, verb ledger) that writes from idempotent and other producers, remembers what
 * was acknowledged where, and compares that with what the broker still has. This is the handle on it; the commands are described
 * in kload/ledger.go, what an audit demands in kload/audit.go.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

export interface Answer {
  readonly do: string
  readonly ok: boolean
  readonly seconds: number
  readonly error?: string
  /** Records acknowledged so far. */
  readonly acked?: number
  readonly unanswered?: number
  /** Error text -> how many records were refused with it. */
  readonly refused?: Readonly<Record<string, number>>
  /** Records that an audit read. */
  readonly read?: number
  /** Kind of fault -> how often an audit found it. */
  readonly found?: Readonly<Record<string, number>>
  /** The first faults of each kind, in words. */
  readonly words?: readonly string[]
  /** What each partition said to one record without retries. */
  readonly results?: readonly { partition: number; offset: number; error?: string; ms: number }[]
  /** By partition: longest time without an acknowledgement since `mark`, ms, with the one that is going on. */
  readonly gaps?: readonly number[]
  /** By partition: time since the last acknowledgement, or since `mark` when there was none, ms. */
  readonly silent?: readonly number[]
  /** By partition: broker id of its leader, -1 when it has none. */
  readonly leaders?: readonly number[]
}

export interface LedgerOptions {
  readonly kload: string
  readonly bootstrap: string
  readonly topic: string
  readonly partitions: number
  readonly writers: number
  /** Records a second over all writers. */
  readonly rate: number
  readonly seed: number
  /** Replicas of each partition. Default 1. */
  readonly replicas?: number
  /** Settings of the topic, k=v. */
  readonly configs?: readonly string[]
}

export class Ledger {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #waiting: ((answer: Answer | Error) => void)[] = []
  #stderr = ''

  private constructor(options: LedgerOptions) {
    const { bootstrap, topic, partitions, writers, rate, seed, replicas = 1, configs = [] } = options
    const shape = ['-p', `${partitions}`, '-writers', `${writers}`, '-r', `${rate}`, '-seed', `${seed}`]
    shape.push('-rf', `${replicas}`, '-config', configs.join(','))
    this.#child = spawn(options.kload, ['ledger', '-b', bootstrap, '-t', topic, ...shape], {
      stdio: ['pipe', 'pipe', 'pipe']
    })
    createInterface(this.#child.stdout).on('line', line => this.#waiting.shift()?.(JSON.parse(line) as Answer))
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-4000)))
    this.#child.stdin.once('error', () => undefined)
    this.#child.once('error', () => undefined)
    this.#child.once('close', () => {
      for (const settle of this.#waiting.splice(0)) settle(new Error(`the ledger ended: ${this.#stderr}`))
    })
  }

  /** Resolves when the topic exists and the writers are ready; they wait for `resume`. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options)
    await ledger.#answer()
    return ledger
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(answer => (answer instanceof Error ? reject(answer) : resolve(answer)))
    })
  }

  /** Sends one command; answers come in order. */
  ask(
    command: 'resume' | 'pause' | 'audit' | 'try' | 'stats' | 'mark' | 'gaps' | 'leaders' | 'poison',
    withinMs = 30_000
  ): Promise<Answer> {
    const answer = this.#answer()
    this.#child.stdin.write(`${JSON.stringify({ do: command, within_ms: withinMs })}\n`)
    return answer
  }

  /** Waits until nothing is on its way, reads everything and compares. Rejects with what does not hold. */
  async verify(withinMs = 30_000): Promise<Answer> {
    const paused = await this.ask('pause', withinMs)
    if (!paused.ok)
      throw new Error(
        `${paused.unanswered} records are neither acknowledged nor refused ${withinMs} ms after the broker is back`
      )
    const refused = Object.entries(paused.refused ?? {})
    if (refused.length > 0)
      throw new Error(
        `records were refused for good: ${refused.map(([text, count]) => `${count}x ${text}`).join('; ')}`
      )
    return this.audit(withinMs)
  }

  /** As `verify`, for a ledger that is paused already; refused records do not matter. */
  async audit(withinMs = 30_000): Promise<Answer> {
    const audit = await this.ask('audit', withinMs)
    if (!audit.ok)
      throw new Error(
        `the audit fails: ${audit.error ?? ''} ${JSON.stringify(audit.found ?? {})}\n${(audit.words ?? []).join('\n')}`
      )
    return audit
  }

  /** Proves that an audit can fail: falsifies one entry and demands that it is found. The ledger is of no use afterwards. */
  async proveSensitivity(): Promise<void> {
    const poisoned = await this.ask('poison')
    const audit = await this.ask('audit')
    if (!poisoned.ok || audit.ok || audit.error !== undefined)
      throw new Error('the audit did not notice a falsified entry')
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}
