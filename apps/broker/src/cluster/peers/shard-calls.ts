/**
 * Calls from any shard of the cluster to any other, itself included, by broker id. Messages are JSON; this is for what operators
 * ask, not for data.
 */
import { MeshError, type PeerNetwork } from '@milena/shard-scheduler'
import { decodeMessage, encodeMessage } from '../../controller/messages.ts'

type Handler = (request: unknown) => Promise<unknown>

export class ShardCalls {
  readonly self: number
  readonly #peers: PeerNetwork
  readonly #handlers = new Map<string, Handler>()

  constructor(peers: PeerNetwork) {
    this.self = peers.self
    this.#peers = peers
  }

  /** Registers a service on this shard, for all others. */
  serve<Request, Answer>(service: string, handler: (request: Request) => Promise<Answer>): void {
    this.#handlers.set(service, handler as Handler)
    this.#peers.serve(service, async payload => encodeMessage(await handler(decodeMessage<Request>(payload))))
  }

  /** Rejects with a `MeshError` when the shard cannot be reached or does not answer in time. */
  async call<Answer>(brokerId: number, service: string, request: object, deadlineMs: number): Promise<Answer> {
    if (brokerId === this.self) {
      const handler = this.#handlers.get(service)
      if (handler === undefined) throw new MeshError('REMOTE', `no service ${service}`)
      return (await handler(request)) as Answer
    }
    const options = { deadlineMs: Math.max(1, deadlineMs) }
    return decodeMessage<Answer>(await this.#peers.call(brokerId, service, encodeMessage(request), options))
  }
}
