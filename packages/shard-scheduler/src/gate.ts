/**
 * Gate, as in Seastar: counts work in flight so that an owner can wait for it before it goes away. Whoever starts work
 * enters, whoever ends it leaves; after `close` nobody enters, and `close` ends when the last one has left.
 */
import assert from 'node:assert'
import { GateClosedError } from './errors.ts'

export class Gate {
  readonly #name: string
  #count = 0
  #closing: Promise<void> | undefined
  #emptied: (() => void) | undefined

  /** `name` appears in errors: the room that the gate guards. */
  constructor(name: string) {
    this.#name = name
  }

  /** Work in flight. */
  get count(): number {
    return this.#count
  }

  /** `close` was called: nobody enters any more. */
  get closed(): boolean {
    return this.#closing !== undefined
  }

  /** Enters, or answers false when the gate is closed. */
  tryEnter(): boolean {
    if (this.closed) return false
    this.#count++
    return true
  }

  /** Enters. Throws `GateClosedError` when the gate is closed. */
  enter(): void {
    if (!this.tryEnter()) throw new GateClosedError(this.#name)
  }

  /** Leaves. Each entry leaves exactly once. */
  leave(): void {
    assert(this.#count > 0, `gate "${this.#name}": as many leave as entered`)
    if (--this.#count === 0) this.#emptied?.()
  }

  /** Runs `work` inside the gate and returns what it returns. Rejects with `GateClosedError` when the gate is closed. */
  async run<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    this.enter()
    try {
      return await work()
    } finally {
      this.leave()
    }
  }

  /** Lets nobody in from now on and ends when all who are in have left. May be called again: same promise. */
  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      if (this.#count === 0) resolve()
      else this.#emptied = resolve
    })
    return this.#closing
  }
}
