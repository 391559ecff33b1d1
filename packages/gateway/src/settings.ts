/**
 * Everything about a gateway that can be set, with its default; and the limits that cannot.
 *
 * Fields carry Kafka's name for the setting where Kafka has one (in the comment, dotted); the composition root maps its own
 * configuration onto this object. Settings are read once, when the gateway is made. Sizes are bytes, times milliseconds.
 */

export interface GatewaySettings {
  /** `socket.request.max.bytes`: largest request frame; a larger announced size closes the connection unread. */
  readonly requestBytesMax: number
  /**
   * `queued.max.request.bytes`: bytes of requests that are being worked on, per shard. Above it connections stop reading
   * until answers went out. One request may always run, however large.
   */
  readonly queuedRequestBytesMax: number
  /** Memory of receive buffers that hold partial or waiting requests, per shard. Above it such buffers stop growing. */
  readonly receiveBufferBytesMax: number
  /** Requests of one connection that may be worked on at the same time (pipelined Produce). Further ones stay unread. */
  readonly inFlightRequestsMax: number
  /** Response bytes of one connection that may wait for the client to read them; above it we stop reading its requests. */
  readonly outputQueueBytesMax: number
  /** A client that takes no byte of its waiting responses for this long is disconnected. */
  readonly outputStallTimeoutMs: number
  /** `connections.max.idle.ms`: a connection without a request for this long is closed. -1: never. */
  readonly connectionsMaxIdleMs: number
  /** A request whose bytes stopped half way has this long, plus a second for each `REQUEST_BYTES_PER_SECOND_MIN`. */
  readonly requestAssemblyTimeoutMs: number
  /** `max.connections`: open connections of all listeners of this gateway; further ones are closed on accept. */
  readonly maxConnections: number
  /** `max.connections.per.ip`. */
  readonly maxConnectionsPerIp: number
  /** `fetch.max.bytes`: upper bound for the bytes of one Fetch answer, whatever the client asks for. */
  readonly fetchMaxBytes: number
  /** `max.incremental.fetch.session.cache.slots`. 0 switches fetch sessions off. */
  readonly fetchSessionsMax: number
  /** `socket.listen.backlog.size`. */
  readonly listenBacklog: number
  /** How bytes leave the kernel: 'static' takes over the handle's read buffers, 'events' uses plain 'data' events. */
  readonly receive: 'static' | 'events'
}

/** What holds for every setting that is not given. */
export const defaultSettings: GatewaySettings = {
  requestBytesMax: 104_857_600,
  queuedRequestBytesMax: 128 * 1024 * 1024,
  receiveBufferBytesMax: 128 * 1024 * 1024,
  inFlightRequestsMax: 64,
  outputQueueBytesMax: 4 * 1024 * 1024,
  outputStallTimeoutMs: 30_000,
  connectionsMaxIdleMs: 600_000,
  requestAssemblyTimeoutMs: 30_000,
  maxConnections: 20_000,
  maxConnectionsPerIp: 2_147_483_647,
  fetchMaxBytes: 57_671_680,
  fetchSessionsMax: 1000,
  listenBacklog: 511,
  receive: 'static'
}

/** The defaults with `overrides` on top. Throws RangeError, naming the setting, for a value that cannot work. */
export function gatewaySettings(overrides: Partial<GatewaySettings> = {}): GatewaySettings {
  const settings = { ...defaultSettings, ...overrides }
  requireAtLeast(settings, 'requestBytesMax', 1024)
  requireAtLeast(settings, 'queuedRequestBytesMax', 1)
  requireAtLeast(settings, 'receiveBufferBytesMax', LANDING_BUFFER_BYTES)
  requireAtLeast(settings, 'inFlightRequestsMax', 1)
  requireAtLeast(settings, 'outputQueueBytesMax', 1024)
  requireAtLeast(settings, 'outputStallTimeoutMs', 1)
  requireAtLeast(settings, 'connectionsMaxIdleMs', -1)
  requireAtLeast(settings, 'requestAssemblyTimeoutMs', 1)
  requireAtLeast(settings, 'maxConnections', 1)
  requireAtLeast(settings, 'maxConnectionsPerIp', 1)
  requireAtLeast(settings, 'fetchMaxBytes', 1024)
  requireAtLeast(settings, 'fetchSessionsMax', 0)
  requireAtLeast(settings, 'listenBacklog', 1)
  return settings
}

type NumericSetting = {
  [K in keyof GatewaySettings]: GatewaySettings[K] extends number ? K : never
}[keyof GatewaySettings]

function requireAtLeast(settings: GatewaySettings, name: NumericSetting, least: number): void {
  const value = settings[name]
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`gateway setting ${name} must be an integer of at least ${least}, not ${value}`)
  }
}

/** One per gateway: where the bytes of connections without a partial request land. Resident: this much per shard. */
export const LANDING_BUFFER_BYTES = 256 * 1024

/** What a connection may send into the landing buffer before it has shown that it sends much, or while memory is short. */
export const FIRST_READ_BYTES = 8 * 1024

/** A read into the landing buffer may take this fraction of what is left of the receive budget. */
export const LANDING_BUDGET_SHARE = 16

/** Smallest buffer a connection gets for itself, while a partial or waiting request needs keeping. */
export const OWN_BUFFER_BYTES_MIN = 16 * 1024

/** Receive buffers kept for reuse, in total per gateway; beyond that they go back to the allocator. */
export const POOLED_BUFFER_BYTES_MAX = 32 * 1024 * 1024

/** A connection that received nothing for this long gives its own buffer back. */
export const OWN_BUFFER_IDLE_MS = 2_000

/** A partial request that arrives slower than this, after its grace time, is a slow loris. */
export const REQUEST_BYTES_PER_SECOND_MIN = 16 * 1024

/** Requests of one connection handled in one event-loop turn; the rest waits for the next turn, so that others get theirs. */
export const REQUESTS_PER_TURN_MAX = 128

/** Response bytes handed to the kernel per connection and turn, so that a scan does not hold up small answers. */
export const WRITE_BYTES_PER_TURN_MAX = 1024 * 1024

/** Responses smaller than this are copied together into one chunk when many leave in the same turn. */
export const COALESCE_BYTES_MAX = 4 * 1024

/** Longest time a Fetch may wait, whatever the client asks for. */
export const FETCH_WAIT_MS_MAX = 300_000

/** Reads of one Fetch that may wait for the disk at the same time. */
export const FETCH_READS_IN_FLIGHT_MAX = 8

/** Partitions in all fetch sessions together: about 400 bytes each with their watch, so 80 MB per shard. */
export const FETCH_SESSION_PARTITIONS_MAX = 200_000

/** A fetch session unused for this long may be thrown out by a new one (`min.incremental.fetch.session.eviction.ms`). */
export const FETCH_SESSION_EVICTION_MS = 120_000

/** Topics that one Metadata request may make by naming them; the rest is answered with POLICY_VIOLATION. */
export const AUTO_CREATE_TOPICS_PER_REQUEST_MAX = 100

/** Partitions, topics or keys one request may name: bounds the answer too. More closes the connection. */
export const REQUEST_ITEMS_MAX = 200_000

/** Partitions in one answer of DescribeTopicPartitions (`max.request.partition.size.limit`); the rest comes with the next page. */
export const DESCRIBED_PARTITIONS_MAX = 2000

/** Producers in one answer of DescribeProducers, about 40 bytes each; partitions that would go beyond are refused. */
export const DESCRIBED_PRODUCERS_MAX = 100_000

/**
 * Shortest time that replication is given, whatever a client allows for it, ms. Kafka counts the time of other replicas alone, and
 * has written to its page cache by then, so that a client may ask for no time at all; here the answer waits for the disk as well.
 */
export const REPLICATION_MS_MIN = 1_000

/** Resolution of the one timer behind every timeout of a gateway. */
export const TIMER_TICK_MS = 10

/** How long a draining gateway waits for answers by default. */
export const DRAIN_MS = 5_000
