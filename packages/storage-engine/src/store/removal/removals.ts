/**
 * Removing the files of logs that are forgotten: in the background, when nothing is written to them any more. A failure costs
 * space only. Of files that another store has names of, only the names here go.
 */
import type { Disk } from '../../disk.ts'
import type { SegmentFiles } from '../../segments/segment-files.ts'
import type { StoreLogger } from '../../store-options.ts'
import type { Committer } from '../commit.ts'
import type { StoreLog } from '../store-log.ts'

/** The parts of a store that this needs. */
export interface RemovalParts {
  readonly disk: Disk
  /** The store's folder. */
  readonly directory: string
  readonly files: SegmentFiles
  readonly committer: Committer
  readonly logger: StoreLogger
}

export class Removals {
  readonly #parts: RemovalParts
  readonly #isClosed: () => boolean
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(parts: RemovalParts, isClosed: () => boolean) {
    this.#parts = parts
    this.#isClosed = isClosed
  }

  /** Nothing refers to the log any more, durably. */
  begin(log: StoreLog): void {
    const removal = this.#remove(log)
      .catch((error: unknown) => {
        const fields = { err: error, path: log.directory }
        if (!this.#isClosed()) this.#parts.logger.warn(fields, 'a file that is no longer needed could not be removed')
      })
      .finally(() => this.#underWay.delete(log.name))
    this.#underWay.set(log.name, removal)
  }

  async #remove(log: StoreLog): Promise<void> {
    const { committer, disk, directory, files } = this.#parts
    await committer.settled()
    await log.gate.run(async () => {
      log.tail.clear()
      for (const segment of log.segments) await files.forget(segment)
      await disk.remove(log.directory)
      files.forgetDirectory(log.directory)
      await disk.syncDirectory(`${directory}/logs`)
    })
  }

  /** Resolves when the files of a former log of this name are gone. */
  async whenRemoved(name: string): Promise<void> {
    await this.#underWay.get(name)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }
}
