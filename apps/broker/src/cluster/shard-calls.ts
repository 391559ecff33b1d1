/**
 * Calls from any shard of the cluster to any other, by broker id: itself directly, this node's shards over the mesh, the others
 * over the peer network. Messages are JSON; this is for what operators ask, not for data.
 */
import { MeshError, type Mesh, type PeerNetwork } from '@milena/shard-scheduler'
import { brokerIdOf, nodeOf, shardOf } from '../controller/cluster-state.ts'
import { decodeMessage, encodeMessage } from '../controller/messages.ts'

type Handler = (request: unknown) => Promise<unknown>

export class ShardCalls {
  readonly self: number
  readonly #mesh: Mesh
  readonly #peers: PeerNetwork
  readonly #handlers = new Map<string, Handler>()

  constructor(options: { nodeId: number; mesh: Mesh; peers: PeerNetwork }) {
    const { nodeId, mesh, peers } = options
    this.self = brokerIdOf(nodeId, mesh.shard)
    this.#mesh = mesh
    this.#peers = peers
  }

  /** Registers a service on this shard, for all others. */
  serve<Request, Answer>(service: string, handler: (request: Request) => Promise<Answer>): void {
    const answer = async (payload: Uint8Array): Promise<Uint8Array> =>
      encodeMessage(await handler(decodeMessage<Request>(payload)))
    this.#handlers.set(service, handler as Handler)
    this.#mesh.serve(service, answer)
    this.#peers.serve(service, answer)
  }

  /** Rejects with a `MeshError` when the shard cannot be reached or does not answer in time. */
  async call<Answer>(brokerId: number, service: string, request: object, deadlineMs: number): Promise<Answer> {
    if (brokerId === this.self) {
      const handler = this.#handlers.get(service)
      if (handler === undefined) throw new MeshError('REMOTE', `no service ${service}`)
      return (await handler(request)) as Answer
    }
    const payload = encodeMessage(request)
    const options = { deadlineMs: Math.max(1, deadlineMs) }
    return decodeMessage<Answer>(
      nodeOf(brokerId) === nodeOf(this.self)
        ? await this.#mesh.submitTo(shardOf(brokerId), service, payload, options)
        : await this.#peers.call(brokerId, service, payload, options)
    )
  }
}
