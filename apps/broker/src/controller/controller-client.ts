/**
 * How every shard asks the controller: through shard 0 of its own node, which knows who leads.
 */
import { MeshError, type Mesh } from '@milena/shard-scheduler'
import {
  decodeMessage,
  encodeMessage,
  meshServices,
  type AnswerOf,
  type Question,
  type Reply,
  type RequestName,
  type RequestOf
} from './messages.ts'

/** Nobody could be asked in time: no leader, no majority, or the network is cut. Whether it was done is not known. */
export class ControllerUnavailableError extends Error {
  readonly code = 'CONTROLLER_UNAVAILABLE'
  constructor(options?: { cause?: unknown }) {
    super('the controller could not be reached in time', options)
    this.name = 'ControllerUnavailableError'
  }
}

/** Longest that a client may make a shard wait for the controller, ms. */
export const CONTROLLER_DEADLINE_MS_MAX = 120_000
/** What the way over the mesh may take on top of the deadline. */
const MESH_GRACE_MS = 1_000

const METADATA_SHARD = 0

export class ControllerClient {
  readonly #mesh: Mesh

  constructor(mesh: Mesh) {
    this.#mesh = mesh
  }

  /**
   * Resolves when it is done, durable, and applied by all shards of this node that can be reached. Rejects with
   * `ControllerUnavailableError` after `timeoutMs`.
   */
  async ask<N extends RequestName>(name: N, request: RequestOf<N>, timeoutMs: number): Promise<AnswerOf<N>> {
    const deadlineMs = Math.max(1, Math.min(timeoutMs, CONTROLLER_DEADLINE_MS_MAX))
    const message = encodeMessage({ name, request, deadlineMs } satisfies Question)
    const options = { deadlineMs: deadlineMs + MESH_GRACE_MS }
    let reply: Reply
    try {
      reply = decodeMessage<Reply>(await this.#mesh.submitTo(METADATA_SHARD, meshServices.ask, message, options))
    } catch (error) {
      // REMOTE included: a shard 0 that is just starting does not know the service yet.
      if (error instanceof MeshError) throw new ControllerUnavailableError({ cause: error })
      throw error
    }
    if (reply.kind !== 'answer') throw new ControllerUnavailableError()
    return reply.answer as AnswerOf<N>
  }
}
