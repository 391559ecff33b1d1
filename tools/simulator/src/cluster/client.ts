/**
 * What Kafka clients have in common: a picture of the cluster that is asked for again when it turns out wrong. As in Kafka's own
 * clients a leader of a former epoch never replaces a later one.
 */
import { apis, errorCode, errorName } from '@milena/wire-protocol'
import type { Api, RequestInput } from '@milena/wire-protocol'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import { NoAnswerError, type Answer, type ClientNetwork } from './client-network.ts'
import type { ClusterHistory } from './history.ts'

/** How long a client waits before it asks again, ms. */
export const BACKOFF_MS = 100
const REQUEST_MS = 4000

/** Who leads a partition, as a client knows. */
export interface Leader {
  readonly brokerId: number
  readonly epoch: number
}

/** What all clients of a simulation share. */
export interface ClientSite {
  readonly world: World
  readonly network: ClientNetwork
  readonly history: ClusterHistory
  /** Clients that run by themselves begin nothing new. */
  stopped: boolean
  /** Clients that run by themselves and are not done. */
  busyCount: number
}

export class Client {
  readonly name: string
  readonly site: ClientSite
  readonly random: Random
  /** Leaders by topic id and partition. */
  readonly #leaders = new Map<string, Leader[]>()
  #addresses: ReadonlyMap<number, string> = new Map()

  constructor(site: ClientSite, name: string) {
    this.site = site
    this.name = name
    this.random = site.world.random.of(name)
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.site.world.schedule(delayMs, resolve))
  }

  /** Runs until the world ends; what it throws ends the world. */
  start(work: () => Promise<void>): void {
    const failed = (error: unknown): void => this.site.world.fail(error)
    const loop = async (): Promise<void> => {
      while (!this.site.stopped) await work()
      this.site.busyCount--
    }
    this.site.busyCount++
    loop().catch(failed)
  }

  leaderOf(topicId: string, partition: number): Leader | undefined {
    const leader = this.#leaders.get(topicId)?.[partition]
    return leader === undefined || leader.brokerId < 0 ? undefined : leader
  }

  /** Asks a broker by number; undefined when its address is not known. Rejects with a `NoAnswerError`. */
  async askBroker<A extends Api>(
    brokerId: number,
    api: A,
    version: number,
    message: RequestInput<A>,
    group?: string
  ): Promise<Answer<A> | undefined> {
    const address = this.#addresses.get(brokerId)
    return address === undefined ? undefined : this.site.network.ask(address, api, version, message, REQUEST_MS, group)
  }

  /** Asks any broker; undefined when there is no answer. */
  async askAny<A extends Api>(api: A, version: number, message: RequestInput<A>): Promise<Answer<A> | undefined> {
    const address = this.random.pick(this.site.network.bootstrap)
    try {
      return await this.site.network.ask(address, api, version, message, REQUEST_MS)
    } catch (error) {
      if (error instanceof NoAnswerError) return undefined
      throw error
    }
  }

  /** Looks at the cluster anew; undefined when nobody answers. */
  async refresh(): Promise<Answer<typeof apis.metadata>['message'] | undefined> {
    const answer = await this.askAny(apis.metadata, 12, { topics: null, allowAutoTopicCreation: false })
    if (answer === undefined) return undefined
    const { brokers, topics } = answer.message
    this.#addresses = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, `${host}:${port}`]))
    for (const { topicId, partitions } of topics) {
      for (const { partitionIndex, leaderId, leaderEpoch } of partitions) {
        this.#learn(topicId, partitionIndex, { brokerId: leaderId, epoch: leaderEpoch })
      }
    }
    return answer.message
  }

  #learn(topicId: string, partition: number, leader: Leader): void {
    let leaders = this.#leaders.get(topicId)
    if (leaders === undefined) this.#leaders.set(topicId, (leaders = []))
    if (leader.epoch >= (leaders[partition]?.epoch ?? -1)) leaders[partition] = leader
  }

  /** An answer that no client should ever get. */
  unexpected(what: string, code: number): never {
    return this.site.world.violated('answers-are-expected', `${this.name}: ${what} is answered with ${nameOf(code)}`)
  }

  trace(what: string, details: string): void {
    const { trace } = this.site.world
    if (trace.printing) trace.line('client', what, `${this.name} ${details}`)
  }
}

/** An error that goes away, or that a client meets with looking at the cluster anew. */
export function isPassing(code: number): boolean {
  return passing.has(code)
}

const passing = new Set(
  (
    [
      'NOT_LEADER_OR_FOLLOWER',
      'LEADER_NOT_AVAILABLE',
      'UNKNOWN_TOPIC_ID',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'REQUEST_TIMED_OUT',
      'NOT_ENOUGH_REPLICAS',
      'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
      'KAFKA_STORAGE_ERROR',
      'FENCED_LEADER_EPOCH',
      'UNKNOWN_LEADER_EPOCH',
      'OFFSET_NOT_AVAILABLE',
      'COORDINATOR_NOT_AVAILABLE',
      'COORDINATOR_LOAD_IN_PROGRESS',
      'NOT_CONTROLLER',
      'REPLICA_NOT_AVAILABLE'
    ] as const
  ).map(errorCode)
)

/** Name of a code as Kafka has it. */
export function nameOf(code: number): string {
  return errorName(code)
}
