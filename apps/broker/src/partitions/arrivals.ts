/**
 * Partitions that this shard gets while another shard of its node has them: what that one holds is handed over, not copied, before
 * the replica here is opened. In their own time, a few at once: the metadata goes on meanwhile.
 *
 *     reconcile ── begin ──► ask the other shard for its files ──► take them over ──┐
 *                              │ not there yet: again, for a while                  ├──► between two changes of the metadata:
 *                              └ nothing to be had ─────────────────────────────────┘    open what is still placed here
 */
import { MeshError } from '@milena/shard-scheduler'
import type { Logger } from 'pino'
import type { GroupRequest, OfferOutcome, ReplicaHost, ReplicaOffer } from '../replication/contract.ts'

const OFFER_SERVICE = 'replica-offer'
const OFFER_END_SERVICE = 'replica-offer-end'
/** How long the other shard may take to offer: it makes all that it holds durable in segments first. */
const OFFER_DEADLINE_MS = 30_000
const OFFER_END_DEADLINE_MS = 5_000
/** After this time an offer that nobody ended is withdrawn, ms. */
const OFFER_LEASE_MS = 120_000
/** Pause before a shard that has no answer yet is asked again, ms, and how often it is asked. */
const RETRY_MS = 500
const ATTEMPTS_MAX = 20
/** Partitions that are handed over to this shard at once. */
export const ARRIVALS_MAX = 4

/** Calls between the shards of a node; `ShardCalls` fits. */
export interface ArrivalCalls {
  serve<Request, Answer>(service: string, handler: (request: Request) => Promise<Answer>): void
  call<Answer>(brokerId: number, service: string, request: object, deadlineMs: number): Promise<Answer>
}

export interface ArrivalsOptions {
  readonly replicas: ReplicaHost
  /** Removes the names that an offer of this shard made. */
  readonly withdraw: (directory: string) => Promise<void>
  readonly calls: ArrivalCalls
  /** Runs work while the metadata does not change. */
  readonly betweenChanges: (work: () => Promise<void>) => Promise<void>
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
}

export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #names = new Set<string>()
  readonly #waiting: (() => Promise<void>)[] = []
  #running = 0
  /** Logs that are being made here at the moment. */
  readonly #adoptions = new Set<Promise<unknown>>()
  #closed = false

  /** Serves other shards of the node as well. */
  constructor(options: ArrivalsOptions) {
    this.#options = options
    const { calls, replicas, withdraw, after, log } = options
    calls.serve(OFFER_SERVICE, async ({ group }: { group: string }): Promise<OfferOutcome> => {
      const outcome = await replicas.offer(group)
      if (outcome.kind === 'offer') after(OFFER_LEASE_MS, () => void withdraw(outcome.offer.files.directory))
      return outcome
    })
    calls.serve(OFFER_END_SERVICE, async ({ group, directory }: { group: string; directory: string }) => {
      await withdraw(directory)
      log.info({ group }, 'an offer of segments to another shard has ended')
      return {}
    })
  }

  /** A partition of this group is on its way here. */
  has(group: string): boolean {
    return this.#names.has(group)
  }

  /**
   * Has the group's replica on shard `from` handed over, if possible, then runs `arrived` between two changes of the metadata.
   * What it meets is logged, and never in the way of opening the replica with nothing.
   */
  begin(request: GroupRequest, from: number, arrived: () => Promise<void>): void {
    const { name } = request
    this.#names.add(name)
    this.#waiting.push(async () => {
      if (this.#closed) return
      try {
        await this.#takeOver(request, from)
      } catch (error) {
        this.#options.log.warn({ group: name, from, err: error }, 'a log cannot be taken over: it is copied')
      }
      await this.#options.betweenChanges(async () => {
        this.#names.delete(name)
        if (!this.#closed) await arrived()
      })
    })
    this.#runNext()
  }

  /** Nothing arrives any more; resolves when no log is being made. The next start asks again. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#adoptions)
  }

  #runNext(): void {
    while (this.#running < ARRIVALS_MAX) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#running++
      const ended = next().catch((error: unknown) => {
        // A failure of the store, which says so itself.
        this.#options.log.error({ err: error }, 'a partition that arrived cannot be opened')
      })
      void ended.then(() => {
        this.#running--
        this.#runNext()
      })
    }
  }

  async #takeOver(request: GroupRequest, from: number): Promise<void> {
    const { calls, log } = this.#options
    const { name: group } = request
    for (let attempt = 0; attempt < ATTEMPTS_MAX && !this.#closed; attempt++) {
      const outcome = await this.#ask(from, group)
      if (outcome.kind === 'nothing' || this.#closed) return
      if (outcome.kind === 'offer') {
        const { files } = outcome.offer
        try {
          if (await this.#adopt(request, outcome.offer))
            log.info({ group, from, segments: files.segments.length, endOffset: files.endOffset }, 'took over a log')
        } finally {
          const ended = calls.call(
            from,
            OFFER_END_SERVICE,
            { group, directory: files.directory },
            OFFER_END_DEADLINE_MS
          )
          await ended.catch(() => undefined)
        }
        return
      }
      await new Promise<void>(resolve => void this.#options.after(RETRY_MS, resolve))
    }
  }

  async #adopt(request: GroupRequest, offer: ReplicaOffer): Promise<boolean> {
    const adoption = this.#options.replicas.takeOver(request, offer)
    this.#adoptions.add(adoption)
    try {
      return await adoption
    } finally {
      this.#adoptions.delete(adoption)
    }
  }

  async #ask(from: number, group: string): Promise<OfferOutcome> {
    try {
      return await this.#options.calls.call<OfferOutcome>(from, OFFER_SERVICE, { group }, OFFER_DEADLINE_MS)
    } catch (error) {
      // REMOTE: it is starting, and has no such service yet.
      if (error instanceof MeshError && (error.code === 'UNREACHABLE' || error.code === 'REMOTE')) return LATER
      throw error
    }
  }
}

const LATER: OfferOutcome = { kind: 'later' }
