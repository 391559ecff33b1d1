/**
 * Watches the free space of the file system. Below the reserve appends are refused before anything hits the wall: what is left
 * belongs to the state store (LMDB must never meet a full disk), to destaging and to removals. Recovers by itself.
 */
import type { Disk } from '../disk.ts'
import { StoreError } from '../errors.ts'
import type { StoreLogger } from '../store-options.ts'

interface SpaceWaiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SpaceGuard {
  readonly #disk: Disk
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #logger: StoreLogger
  readonly #onFull: () => void
  #waiters: SpaceWaiter[] = []
  #givenUp = false
  /** Appends are refused. */
  full = false
  /** A write was refused for want of space since the last look: not worth trying again before the next one. */
  exhausted = false

  /** `onFull` runs when `full` becomes true. */
  constructor(disk: Disk, directory: string, reserveBytes: number, logger: StoreLogger, onFull: () => void) {
    this.#disk = disk
    this.#directory = directory
    this.#reserveBytes = reserveBytes
    this.#logger = logger
    this.#onFull = onFull
  }

  /** Looks at the device. Whoever waits for space tries again, reserve or not: the reserve is theirs. */
  async check(): Promise<void> {
    const freeBytes = await this.#disk.freeBytes(this.#directory)
    if (freeBytes < this.#reserveBytes) this.#becomeFull()
    else if (this.full) {
      this.#logger.info({ freeBytes }, 'there is space again, appends are accepted')
      this.full = false
    }
    this.exhausted = false
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  /** A write met a full file system, whatever `freeBytes` says. */
  becomeExhausted(): void {
    this.exhausted = true
    this.#becomeFull()
  }

  /** Resolves when the device has been looked at again; rejects when nobody looks at it any more. */
  whenWorthTrying(): Promise<void> {
    this.becomeExhausted()
    if (this.#givenUp) return Promise.reject(outOfSpace())
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** The device is not looked at any more: waiting for space, now and later, is over. */
  giveUp(): void {
    this.#givenUp = true
    for (const { reject } of this.#waiters.splice(0)) reject(outOfSpace())
  }

  #becomeFull(): void {
    if (this.full) return
    this.full = true
    this.#logger.error({ reserveBytes: this.#reserveBytes }, 'the disk is below its reserve, appends are refused')
    this.#onFull()
  }
}

function outOfSpace(): StoreError {
  return new StoreError('NO_SPACE', 'the disk is full, and nobody waits for space any more')
}
