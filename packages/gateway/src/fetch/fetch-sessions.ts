/**
 * Fetch sessions (KIP-227): the broker remembers which partitions a consumer reads, requests and answers carry only changes.
 *
 *     full fetch (id 0, epoch 0) ──► answer carries a new id ──► incremental (id, epoch 1) ──► (id, epoch 2) ... ──► 1 after 2^31-1
 *     epoch -1 closes the session named, and is answered in full, without one
 *
 * The cache is bounded twice: sessions (`max.incremental.fetch.session.cache.slots`) and partitions in all of them. A new
 * session that finds no room throws out one that was unused for FETCH_SESSION_EVICTION_MS, or a smaller one that has lived
 * that long; otherwise its fetch is answered without a session, which costs the client traffic and nothing else.
 *
 * One cache per gateway; not shared between shards, as clients have one session per connection target.
 */
import type { ClockPort } from '../ports.ts'
import { FETCH_SESSION_EVICTION_MS, FETCH_SESSION_PARTITIONS_MAX } from '../settings.ts'
import type { FetchCall } from './fetch-call.ts'
import type { FetchEntry } from './fetch-entry.ts'

/** Session id of a request or an answer outside of any session. */
export const NO_SESSION = 0
/** Session epoch of a request that wants a new session. */
export const INITIAL_EPOCH = 0
/** Session epoch of a request that ends its session, or wants none. */
export const FINAL_EPOCH = -1

const INT32_MAX = 0x7fffffff

export interface FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  readonly createdMs: number
  lastUsedMs: number
  /** Epoch that the next request must carry. */
  epoch: number
  /** In the order of service: those that got data go to the end. */
  readonly partitions: Map<string, FetchEntry>
  /** The fetch that is being served, if any. */
  active: FetchCall | null
}

export type SessionLookup =
  | { readonly kind: 'found'; readonly session: FetchSession }
  | {
      readonly kind: 'refused'
      readonly error: 'FETCH_SESSION_ID_NOT_FOUND' | 'INVALID_FETCH_SESSION_EPOCH' | 'FETCH_SESSION_TOPIC_ID_ERROR'
    }

/** Identifies a partition inside one session, in which topics are named one way only. */
export function partitionKey(topic: string, partition: number): string {
  return `${partition}:${topic}`
}

export class FetchSessionCache {
  readonly #clock: ClockPort
  readonly #sessionsMax: number
  /** Least recently used first. */
  readonly #sessions = new Map<number, FetchSession>()
  #partitionCount = 0
  #lastId: number

  constructor(clock: ClockPort, sessionsMax: number) {
    this.#clock = clock
    this.#sessionsMax = sessionsMax
    // Ids must differ from those of an earlier life of this broker, which clients may still use.
    this.#lastId = Math.floor(clock.now()) & INT32_MAX
  }

  get count(): number {
    return this.#sessions.size
  }

  get partitionCount(): number {
    return this.#partitionCount
  }

  /** The session of an incremental fetch, with its epoch moved on; or the error that makes the client start a new one. */
  lookUp(id: number, epoch: number, usesTopicIds: boolean): SessionLookup {
    const session = this.#sessions.get(id)
    if (session === undefined) return { kind: 'refused', error: 'FETCH_SESSION_ID_NOT_FOUND' }
    if (session.epoch !== epoch) return { kind: 'refused', error: 'INVALID_FETCH_SESSION_EPOCH' }
    if (session.usesTopicIds !== usesTopicIds) return { kind: 'refused', error: 'FETCH_SESSION_TOPIC_ID_ERROR' }
    session.epoch = nextEpoch(epoch)
    session.lastUsedMs = this.#clock.monotonic()
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    return { kind: 'found', session }
  }

  /** True while `session` was neither closed nor thrown out. */
  has(session: FetchSession): boolean {
    return this.#sessions.get(session.id) === session
  }

  /** A session of these partitions, or null when there is no room. Takes the map over. */
  create(partitions: Map<string, FetchEntry>, usesTopicIds: boolean): FetchSession | null {
    const now = this.#clock.monotonic()
    if (!this.#makeRoom(partitions.size, now)) return null
    const id = this.#newId()
    const session = { id, usesTopicIds, createdMs: now, lastUsedMs: now, epoch: 1, partitions, active: null }
    this.#sessions.set(session.id, session)
    this.#partitionCount += partitions.size
    return session
  }

  /** Adds a partition to a live session. False when the cache is full of partitions. */
  setPartition(session: FetchSession, key: string, entry: FetchEntry): boolean {
    if (!session.partitions.has(key)) {
      if (this.#partitionCount >= FETCH_SESSION_PARTITIONS_MAX) return false
      this.#partitionCount++
    }
    session.partitions.set(key, entry)
    return true
  }

  deletePartition(session: FetchSession, key: string): void {
    session.partitions.get(key)?.unwatch()
    if (session.partitions.delete(key)) this.#partitionCount--
  }

  close(id: number): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    this.#partitionCount -= session.partitions.size
    for (const entry of session.partitions.values()) entry.unwatch()
  }

  /** Ends every session and every watch. */
  closeAll(): void {
    for (const id of [...this.#sessions.keys()]) this.close(id)
  }

  #makeRoom(partitionCount: number, now: number): boolean {
    if (this.#sessionsMax === 0 || partitionCount > FETCH_SESSION_PARTITIONS_MAX) return false
    while (
      this.#sessions.size >= this.#sessionsMax ||
      this.#partitionCount + partitionCount > FETCH_SESSION_PARTITIONS_MAX
    ) {
      const evicted = this.#evictable(partitionCount, now)
      if (evicted === null) return false
      this.close(evicted.id)
    }
    return true
  }

  #evictable(partitionCount: number, now: number): FetchSession | null {
    const oldest = this.#sessions.values().next().value
    if (oldest === undefined) return null
    if (now - oldest.lastUsedMs > FETCH_SESSION_EVICTION_MS) return oldest
    let smallest: FetchSession | null = null
    for (const session of this.#sessions.values()) {
      if (now - session.createdMs <= FETCH_SESSION_EVICTION_MS || session.partitions.size >= partitionCount) continue
      if (smallest === null || session.partitions.size < smallest.partitions.size) smallest = session
    }
    return smallest
  }

  /** Walks through all positive int32 in an order that does not show how many sessions there are. */
  #newId(): number {
    do {
      this.#lastId = (Math.imul(this.#lastId, 1_103_515_245) + 12_345) & INT32_MAX
    } while (this.#lastId === NO_SESSION || this.#sessions.has(this.#lastId))
    return this.#lastId
  }
}

function nextEpoch(epoch: number): number {
  return epoch >= INT32_MAX ? 1 : epoch + 1
}
