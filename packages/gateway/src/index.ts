/**
 * The Kafka end of a broker: listeners, connections, request dispatch, handlers, fetch sessions. It knows the wire and
 * nothing of disks, shards or Raft: whoever composes it (a broker, a proxy, a test) implements the ports of `GatewayHost`.
 *
 * - `createGateway({ host, settings, listeners })` makes a gateway that does not listen yet. `listen()` binds all listeners or
 *   none. `close({ drainMs })` stops accepting, answers what was started, closes the rest when the time is over. `stats()`
 *   counts.
 * - Requests of a connection start in the order in which they came and are answered in that order. One that takes its time
 *   holds up those behind it, as in Kafka; Produce requests overlap, because `append` takes its copy before it returns.
 * - Byte views in a request are valid until the handler returns. Record bytes in a Fetch answer stay the host's own views;
 *   `release()` runs when the socket took them or the connection died.
 * - ApiVersions is derived from the table of handlers; what needs a port that the host lacks is neither listed nor served. A
 *   request of an unknown API or version closes the connection, as in Kafka; an unknown version of ApiVersions is answered in
 *   version 0.
 * - Leadership may move at any time. A partition's port judges each call itself, in Kafka's order: the client's epoch, who
 *   leads, the rest. Requests that wait are answered at once when it moves, with the new leader and its address (KIP-951).
 * - Errors of the host are names from the wire's error table. What a handler throws is a defect: it is logged and answered
 *   with UNKNOWN_SERVER_ERROR.
 * - A malformed request costs its own connection and nothing else. Nothing is allocated from a length that a client
 *   announced; nothing a client sent is logged.
 * - Nothing is queued without a bound and nothing rejected for load: a connection whose next request may not start is read no
 *   further.
 *
 * Fakes of the ports, a raw client and clocks are in `@milena/gateway/testing`. The README has an example and a map.
 */
export { createGateway, type Gateway, type GatewayOptions, type GatewayStats } from './gateway.ts'
export type { BoundAddress, ListenerOptions } from './connections/listener.ts'
export { defaultSettings, gatewaySettings, type GatewaySettings } from './settings.ts'
export * as limits from './settings.ts'
export { TOPIC_NAME_LENGTH_MAX, topicNameProblem } from './topic-names.ts'
export type * from './ports.ts'
