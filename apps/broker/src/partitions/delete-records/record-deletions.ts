/**
 * Deletions of records on their way to the controller: those of one turn go as one request, so that a client that cleans up a
 * thousand partitions costs one command.
 */
import { ControllerUnavailableError, type ControllerClient } from '../../controller/controller-client.ts'
import type { Deletion } from '../../controller/metadata/commands.ts'

interface Waiting {
  readonly deletion: Deletion
  readonly timeoutMs: number
  readonly resolve: (done: boolean) => void
  readonly reject: (error: unknown) => void
}

export class RecordDeletions {
  readonly #controller: Pick<ControllerClient, 'ask'>
  #waiting: Waiting[] = []

  constructor(controller: Pick<ControllerClient, 'ask'>) {
    this.#controller = controller
  }

  /** Resolves true when it is durable and this node knows; false when that is not certain after `timeoutMs`. */
  request(deletion: Deletion, timeoutMs: number): Promise<boolean> {
    if (this.#waiting.length === 0) queueMicrotask(() => void this.#send())
    return new Promise((resolve, reject) => this.#waiting.push({ deletion, timeoutMs, resolve, reject }))
  }

  async #send(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    const timeoutMs = Math.min(...waiting.map(one => one.timeoutMs))
    try {
      await this.#controller.ask('deleteRecords', { deletions: waiting.map(one => one.deletion) }, timeoutMs)
      for (const { resolve } of waiting) resolve(true)
    } catch (error) {
      const isUncertain = error instanceof ControllerUnavailableError
      for (const { resolve, reject } of waiting) isUncertain ? resolve(false) : reject(error)
    }
  }
}
