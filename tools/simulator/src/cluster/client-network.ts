/**
 * What lies between clients and brokers: one request at a time goes over, is handled in a turn of the shard's process, and its
 * answer comes back. Frames are the real ones, both ways. As with TCP a client is told of a process that ends, of a machine that
 * loses power it finds out by waiting.
 */
import type { Api, RequestInput, ResponseOf } from '@milena/wire-protocol'
import { decodeResponseHeader, encodeRequest, Reader, responseCodec } from '@milena/wire-protocol'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import type { ClusterNode } from './cluster-node.ts'
import { CLIENT_PORT } from './cluster-site.ts'
import type { ShardProcess } from './shard-process.ts'

const LATENCY_MS = 0.3
const SIZE_PREFIX_BYTES = 4

/** No answer: nobody listens, the connection ended, or the time was up. What became of the request is not known. */
export class NoAnswerError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'NoAnswerError'
  }
}

/** An answer, and who gave it. */
export interface Answer<A extends Api> {
  readonly message: ResponseOf<A>
  /** Its shard led the group that was named when it answered. */
  readonly leads: boolean
}

interface Carried {
  readonly response: Uint8Array
  readonly leads: boolean
}

export class ClientNetwork {
  /** Nodes that clients cannot reach now. */
  readonly cut = new Set<ClusterNode>()
  requestCount = 0
  readonly #world: World
  readonly #random: Random
  readonly #nodes: readonly ClusterNode[]

  constructor(world: World, nodes: readonly ClusterNode[]) {
    this.#world = world
    this.#random = world.random.of('client network')
    this.#nodes = nodes
  }

  /** host:port of every shard. */
  get bootstrap(): readonly string[] {
    return this.#nodes.flatMap(({ name, shards }) => shards.map((_, shard) => `${name}:${CLIENT_PORT + shard}`))
  }

  /** `group`: the Raft group that the question is about, if it is about one. Rejects with a `NoAnswerError`. */
  async ask<A extends Api>(
    address: string,
    api: A,
    version: number,
    message: RequestInput<A>,
    timeoutMs: number,
    group?: string
  ): Promise<Answer<A>> {
    const header = { correlationId: ++this.requestCount, clientId: 'simulated' }
    const frame = Buffer.concat(encodeRequest(api, version, header, message))
    const { response, leads } = await this.#carry(address, frame, timeoutMs, group)
    const { bodyStart } = decodeResponseHeader(api, version, response, SIZE_PREFIX_BYTES, response.length)
    return { message: responseCodec(api, version).decode(new Reader(response, bodyStart)), leads }
  }

  #carry(address: string, frame: Uint8Array, timeoutMs: number, group: string | undefined): Promise<Carried> {
    return new Promise((resolve, reject) => {
      let leave = (): void => undefined
      const fail = (reason: string): void => {
        cancel()
        leave()
        reject(new NoAnswerError(`${reason}: ${address}`))
      }
      const cancel = this.#world.after(timeoutMs, () => fail('no answer in time'))
      this.#later(() => {
        const node = this.#nodeAt(address)
        if (node === undefined || !node.isUp || this.cut.has(node)) return
        const by = node.shards[Number(address.split(':')[1]) - CLIENT_PORT]?.running
        if (by?.serves !== true) return this.#later(() => fail('nobody listens'))
        leave = this.#handle(by, frame, fail, response => {
          if (this.cut.has(node)) return
          const leads = group !== undefined && by.open.replicas.groups.get(group)?.leading === true
          this.#later(() => {
            cancel()
            resolve({ response, leads })
          })
        })
      })
    })
  }

  /** Lets a shard handle a request; the result is to be called when the client does not wait any more. */
  #handle(
    by: ShardProcess,
    frame: Uint8Array,
    fail: (reason: string) => void,
    answered: (response: Uint8Array) => void
  ): () => void {
    const { time, gateway, clients, node, shard } = by
    const dial = { listener: 'PLAINTEXT', localAddress: node.name, localPort: CLIENT_PORT + shard, remoteAddress: 'c' }
    const connection = gateway.connect(dial)
    const processEnded = (told: boolean): void => {
      clients.delete(processEnded)
      if (told) this.#later(() => fail('the connection ended'))
    }
    clients.add(processEnded)
    time.nextTurn(() => {
      void connection.request(frame).then(response => {
        clients.delete(processEnded)
        if (time.hasEnded) return
        const [defect] = gateway.defects
        if (defect !== undefined) this.#world.fail(defect)
        if (response === null) this.#later(() => fail('the connection was closed'))
        else answered(response)
      })
    })
    return () => {
      clients.delete(processEnded)
      time.nextTurn(() => connection.close())
    }
  }

  #nodeAt(address: string): ClusterNode | undefined {
    return this.#nodes.find(({ name }) => address.startsWith(`${name}:`))
  }

  #later(task: () => void): void {
    this.#world.schedule(LATENCY_MS * (0.5 + this.#random.fraction()), task)
  }
}
