/** Producer ids, taken from the controller in blocks, so that most requests are answered without leaving the shard. */
import type { ProducerIdsPort } from '@milena/gateway'
import { ControllerUnavailableError, type ControllerClient } from '../controller/controller-client.ts'

/** How long a client waits for a new block, ms. */
const BLOCK_DEADLINE_MS = 10_000

export class ProducerIdBlocks implements ProducerIdsPort {
  readonly #controller: ControllerClient
  #next = 0
  #end = 0
  #refill: Promise<void> | undefined

  constructor(controller: ControllerClient) {
    this.#controller = controller
  }

  async allocate(): ReturnType<ProducerIdsPort['allocate']> {
    try {
      while (this.#next >= this.#end) {
        this.#refill ??= this.#fetchBlock().finally(() => (this.#refill = undefined))
        await this.#refill
      }
    } catch (error) {
      if (!(error instanceof ControllerUnavailableError)) throw error
      // What Kafka says when it has none left and the controller does not answer: producers ask again.
      return { error: 'COORDINATOR_LOAD_IN_PROGRESS' }
    }
    return { producerId: BigInt(this.#next++) }
  }

  async #fetchBlock(): Promise<void> {
    const { firstId, count } = await this.#controller.ask('allocateProducerIds', {}, BLOCK_DEADLINE_MS)
    this.#next = firstId
    this.#end = firstId + count
  }
}
