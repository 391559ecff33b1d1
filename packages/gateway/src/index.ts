/**
 * # @milena/gateway
 *
 * The Kafka end of a broker: listeners, connections, request dispatch, handlers, fetch sessions. It knows the wire and
 * nothing of disks, shards or Raft; whoever composes it implements the ports of `GatewayHost`.
 *
 * `createGateway({ host, settings, listeners })` gives a gateway; `listen()` binds it, `close({ drainMs })` drains it.
 *
 * @packageDocumentation
 */
export { createGateway, type Gateway, type GatewayOptions, type GatewayStats } from './gateway.ts'
export type { BoundAddress, ListenerOptions } from './connections/listener.ts'
export { defaultSettings, type GatewaySettings, gatewaySettings } from './settings.ts'
export * as limits from './settings.ts'
export { TOPIC_NAME_LENGTH_MAX, topicNameProblem } from './topic-names.ts'
export type * from './ports.ts'
