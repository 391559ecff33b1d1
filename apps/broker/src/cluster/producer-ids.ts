/** Producer ids, taken from the controller in blocks, so that most requests are answered without leaving the shard. */
import type { ProducerIdsPort } from '@milena/gateway'
import type { Mesh } from '@milena/shard-scheduler'
import type { CommandResult } from '../controller/commands.ts'
import { controllerServices, decodeMessage } from '../controller/messages.ts'

export class ProducerIdBlocks implements ProducerIdsPort {
  readonly #mesh: Mesh
  #next = 0
  #end = 0
  #refill: Promise<void> | undefined

  constructor(mesh: Mesh) {
    this.#mesh = mesh
  }

  async allocate(): Promise<bigint> {
    while (this.#next >= this.#end) {
      this.#refill ??= this.#fetchBlock().finally(() => (this.#refill = undefined))
      await this.#refill
    }
    return BigInt(this.#next++)
  }

  async #fetchBlock(): Promise<void> {
    const answer = await this.#mesh.submitTo(0, controllerServices.allocateProducerIds, new Uint8Array(0))
    const block = decodeMessage<Extract<CommandResult, { type: 'allocate-producer-ids' }>>(answer)
    this.#next = block.firstId
    this.#end = block.firstId + block.count
  }
}
