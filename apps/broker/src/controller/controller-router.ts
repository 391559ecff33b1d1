/**
 * Shard 0's way to the controller: to itself when it leads, otherwise to the shard that does, again and again until one answers
 * or the asker's time is up. So "not the controller" never reaches a client.
 *
 * A question may be asked twice when an answer was lost; the controller's requests are made so that this does no harm.
 */
import { MeshError, type Mesh, type PeerNetwork } from '@milena/shard-scheduler'
import { NotLeaderError, type Controller } from './controller.ts'
import type { CommandLog } from './log/command-log.ts'
import { decodeMessage, encodeMessage, meshServices, peerServices, type Question, type Reply } from './messages.ts'
import { shardOf } from './metadata/cluster-state.ts'
import type { MetadataPublisher } from './metadata/metadata-publisher.ts'

/** Pauses before asking again: short at first, twice as long each time. */
const RETRY_MS_MIN = 2
const RETRY_MS_MAX = 50
/** The shard of each node that has a replica of the controller's log. */
const METADATA_SHARD = 0
/** Longest that one attempt may take: the leader may be gone without a word. */
const ATTEMPT_MS = 5_000

export interface ControllerRouterOptions {
  readonly self: number
  readonly log: CommandLog
  readonly controller: Controller
  readonly publisher: MetadataPublisher
  readonly mesh: Mesh
  readonly peers: PeerNetwork
  /** Who leads the controller by what other shards say, -1 when nobody said so. */
  readonly announcedLeader: () => number
  readonly clock: { monotonic(): number; after(delayMs: number, callback: () => void): () => void }
}

export class ControllerRouter {
  readonly #options: ControllerRouterOptions
  #guesses = 0

  constructor(options: ControllerRouterOptions) {
    this.#options = options
    const { mesh, peers } = options
    mesh.serve(meshServices.ask, async payload => encodeMessage(await this.#serve(decodeMessage<Question>(payload))))
    peers.serve(peerServices.handle, async payload =>
      encodeMessage(await this.#handle(decodeMessage<Question>(payload)))
    )
  }

  /** A question of a shard of this node: answered when this node's shards have applied what was done. */
  async #serve(question: Question): Promise<Reply> {
    const { clock, publisher } = this.#options
    const endMs = clock.monotonic() + question.deadlineMs
    const reply = await this.ask(question)
    if (reply.kind === 'answer') {
      await this.#within(endMs - clock.monotonic(), publisher.whenPublished(reply.revision))
    }
    return reply
  }

  /** Asks whoever leads, until one answers or `deadlineMs` have passed. */
  async ask(question: Question): Promise<Reply> {
    const { clock } = this.#options
    const endMs = clock.monotonic() + question.deadlineMs
    let hint: number | undefined
    for (let pauseMs = RETRY_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
      const leftMs = endMs - clock.monotonic()
      if (leftMs <= 0) return { kind: 'unavailable' }
      const reply = await this.#attempt(hint, { ...question, deadlineMs: Math.min(leftMs, ATTEMPT_MS) })
      if (reply.kind === 'answer') return reply
      hint = reply.kind === 'notLeader' ? reply.leader : undefined
      await this.#pause(pauseMs)
    }
  }

  async #attempt(hint: number | undefined, question: Question): Promise<Reply> {
    const { self, log, peers } = this.#options
    const target = log.leader ?? hint ?? this.#guess()
    if (target === undefined || target === self) {
      return (await this.#within(question.deadlineMs, this.#handle(question))) ?? { kind: 'unavailable' }
    }
    try {
      const options = { deadlineMs: question.deadlineMs }
      return decodeMessage<Reply>(await peers.call(target, peerServices.handle, encodeMessage(question), options))
    } catch (error) {
      // REMOTE included: a shard that is just starting does not know the service yet.
      if (error instanceof MeshError) return { kind: 'unavailable' }
      throw error
    }
  }

  /** A node that has just joined has no replica of the log yet: it goes by hearsay, or asks one after the other. */
  #guess(): number | undefined {
    const { announcedLeader, peers } = this.#options
    const announced = announcedLeader()
    if (announced >= 0) return announced
    const others = [...peers.reachable].filter(id => shardOf(id) === METADATA_SHARD).sort((a, b) => a - b)
    return others[this.#guesses++ % Math.max(1, others.length)]
  }

  async #handle({ name, request }: Question): Promise<Reply> {
    const { log, controller, self: leader } = this.#options
    try {
      const answer = await controller.handle(name, request)
      return { kind: 'answer', revision: log.state.revision, recovery: log.recovery, leader, answer }
    } catch (error) {
      if (!(error instanceof NotLeaderError)) throw error
      return { kind: 'notLeader', leader: log.leader }
    }
  }

  /** What the promise gives, or undefined when it takes longer. */
  #within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.#options.clock.after(Math.max(0, ms), () => resolve(undefined))
      void promise.then(resolve, reject).finally(cancel)
    })
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => void this.#options.clock.after(ms, resolve))
  }
}
