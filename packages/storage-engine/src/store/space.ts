/**
 * Watches the free space of the file system. Below the reserve appends are refused before anything hits the wall: what is left
 * belongs to the state store (LMDB must never meet a full disk), to destaging and to removals. Recovers by itself.
 */
import type { Disk } from '../disk.ts'
import type { StoreLogger } from '../store-options.ts'

export class SpaceGuard {
  readonly #disk: Disk
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #logger: StoreLogger
  readonly #waiters: { resolve: () => void; reject: (error: Error) => void }[] = []
  /** Appends are refused. */
  full = false

  constructor(disk: Disk, directory: string, reserveBytes: number, logger: StoreLogger) {
    this.#disk = disk
    this.#directory = directory
    this.#reserveBytes = reserveBytes
    this.#logger = logger
  }

  /** Looks at the device. */
  async check(): Promise<void> {
    const freeBytes = await this.#disk.freeBytes(this.#directory)
    if (freeBytes < this.#reserveBytes) return this.becomeFull()
    if (this.full) this.#logger.info({ freeBytes }, 'there is space again, appends are accepted')
    this.full = false
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  /** A write met a full file system, whatever `freeBytes` says. */
  becomeFull(): void {
    if (!this.full)
      this.#logger.error({ reserveBytes: this.#reserveBytes }, 'the disk is below its reserve, appends are refused')
    this.full = true
  }

  /** Resolves at the next look that finds space. */
  whenFree(): Promise<void> {
    this.becomeFull()
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  close(): void {
    for (const { reject } of this.#waiters.splice(0)) reject(new Error('the store is closed'))
  }
}
