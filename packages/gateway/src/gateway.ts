/**
 * A gateway: listeners, their connections, and the rooms these share, put together for one host.
 *
 * One gateway per shard. It owns no data and no threads; everything it knows about the cluster comes from the host's ports,
 * everything it promises to clients is promised by them.
 */
import { RequestAdmission } from './connections/admission.ts'
import { ConnectionQuota } from './connections/connection-quota.ts'
import { Connection, type ConnectionRooms } from './connections/connection.ts'
import { ConnectionCounters } from './connections/counters.ts'
import { type BoundAddress, Listener, type ListenerOptions } from './connections/listener.ts'
import { ReceiveMemory } from './connections/receive-memory.ts'
import { TimerEntry, TimerWheel } from './connections/timer-wheel.ts'
import { TurnQueue } from './connections/turn-queue.ts'
import { FetchSessionCache } from './fetch/fetch-sessions.ts'
import { handlersFor } from './handlers/all.ts'
import { HandlerTable } from './handlers/table.ts'
import type { GatewayHost } from './ports.ts'
import { DRAIN_MS, type GatewaySettings, gatewaySettings } from './settings.ts'

/** What a gateway is made of. */
export interface GatewayOptions {
  readonly host: GatewayHost
  /** What differs from `defaultSettings`. */
  readonly settings?: Partial<GatewaySettings>
  readonly listeners: readonly ListenerOptions[]
}

/** Counts since the start, and what is open now. */
export interface GatewayStats {
  readonly connectionCount: number
  readonly connectionsAccepted: number
  readonly connectionsRefused: number
  readonly requests: number
  readonly malformedRequests: number
  readonly trailingBytesRequests: number
  readonly handlerErrors: number
  readonly bytesReceived: number
  readonly bytesSent: number
  /** Bytes of requests that started and are not answered. */
  readonly requestBytesInFlight: number
  /** Bytes of receive buffers that connections hold, and that are kept for reuse. */
  readonly receiveBufferBytes: number
  readonly receiveBufferPooledBytes: number
  readonly fetchSessionCount: number
  readonly fetchSessionPartitionCount: number
}

/** Listeners and their connections. Made by `createGateway`; listens when told to. */
export interface Gateway {
  /** Binds every listener, in order. Rejects, with none left open, when one cannot be bound. */
  listen(): Promise<readonly BoundAddress[]>
  /** Stops accepting, lets started requests finish for up to `drainMs` (default DRAIN_MS), closes every connection. */
  close(options?: { drainMs?: number }): Promise<void>
  stats(): GatewayStats
}

/** A gateway that is not listening yet. Throws RangeError for a setting that cannot work. */
export function createGateway(options: GatewayOptions): Gateway {
  return new ListeningGateway(options)
}

class ListeningGateway implements Gateway {
  readonly #rooms: ConnectionRooms
  readonly #quota: ConnectionQuota
  readonly #listeners: Listener[]
  readonly #connections = new Set<Connection>()
  #whenEmpty: (() => void) | null = null
  #closed = false

  constructor({ host, settings: overrides, listeners }: GatewayOptions) {
    const settings = gatewaySettings(overrides)
    const counters = new ConnectionCounters()
    this.#quota = new ConnectionQuota(() => host.connectionLimits?.() ?? settings)
    this.#rooms = {
      host,
      settings,
      counters,
      timers: new TimerWheel(host.clock),
      fetchSessions: new FetchSessionCache(host.clock, settings.fetchSessionsMax),
      table: new HandlerTable(handlersFor(host), counters),
      memory: new ReceiveMemory(settings.receiveBufferBytesMax),
      admission: new RequestAdmission(host.admission, settings.queuedRequestBytesMax),
      turns: new TurnQueue()
    }
    this.#listeners = listeners.map(listener => new Listener(listener, this.#sink()))
  }

  async listen(): Promise<readonly BoundAddress[]> {
    const bound: BoundAddress[] = []
    try {
      for (const listener of this.#listeners) bound.push(await listener.listen(this.#rooms.settings.listenBacklog))
    } catch (error) {
      for (const listener of this.#listeners) listener.close()
      throw error
    }
    return bound
  }

  async close({ drainMs = DRAIN_MS }: { drainMs?: number } = {}): Promise<void> {
    this.#closed = true
    for (const listener of this.#listeners) listener.close()
    for (const connection of this.#connections) connection.drain()
    if (this.#connections.size > 0) await this.#emptyWithin(drainMs)
    for (const connection of [...this.#connections]) connection.destroy('gateway closed')
    this.#rooms.fetchSessions.closeAll()
    this.#rooms.timers.close()
  }

  stats(): GatewayStats {
    const { counters, admission, memory, fetchSessions } = this.#rooms
    return {
      ...counters,
      connectionCount: this.#quota.count,
      requestBytesInFlight: admission.bytesInFlight,
      receiveBufferBytes: memory.usedBytes,
      receiveBufferPooledBytes: memory.pooledBytes,
      fetchSessionCount: fetchSessions.count,
      fetchSessionPartitionCount: fetchSessions.partitionCount
    }
  }

  #sink(): ConstructorParameters<typeof Listener>[1] {
    const { log } = this.#rooms.host
    return {
      quota: this.#quota,
      accepted: (socket, dial) => {
        this.#rooms.counters.connectionsAccepted++
        const connection = new Connection(this.#rooms, socket, dial, closed => this.#forget(closed))
        this.#connections.add(connection)
        if (this.#closed) connection.drain()
      },
      refused: () => {
        this.#rooms.counters.connectionsRefused++
      },
      failed: error => log.error({ err: error }, 'listener failed')
    }
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection)
    this.#quota.leave(connection.dial.remoteAddress)
    if (this.#connections.size === 0) this.#whenEmpty?.()
  }

  #emptyWithin(drainMs: number): Promise<void> {
    return new Promise(resolve => {
      const late = new TimerEntry(resolve)
      this.#whenEmpty = () => {
        this.#rooms.timers.disarm(late)
        resolve()
      }
      this.#rooms.timers.arm(late, drainMs)
    })
  }
}
