/**
 * From settings to what a node will run: how many shards, which addresses each listens on, what is advertised to clients and to
 * other nodes. Pure.
 */
import { defaultGateway, type Advertising } from '../cluster/view/addresses.ts'
import type { Endpoint, ListenerEndpoint, NodeDescription } from '../controller/metadata/cluster-state.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { parseHostPort, parseListeners, type ListenerAddress } from '../settings/listener.ts'
import { SettingsError } from '../settings/parse.ts'
import type { ShardListener } from '../shard/contract.ts'

/** Most shards that are started by themselves; more must be asked for. */
const AUTOMATIC_SHARDS_MAX = 16

/** Where other nodes find a node that says nothing else. */
export const DEFAULT_RPC: Endpoint = { host: '127.0.0.1', port: 33_145 }

/** Shards of a node: as asked, else as the data folder has, else one per core. */
export function planShardCount(settings: BrokerSettings, known: number | undefined, coreCount: number): number {
  const asked = settings['num.shards']
  if (asked > 0) return asked
  return known ?? Math.max(1, Math.min(coreCount, AUTOMATIC_SHARDS_MAX))
}

/** The node id that was asked for, undefined for an automatic one. */
export function askedNodeId(settings: BrokerSettings): number | undefined {
  return settings['node.id'] < 0 ? undefined : settings['node.id']
}

/** The Kafka listeners of the node, checked against the number of shards. */
export function planListeners(settings: BrokerSettings, shardCount: number): ListenerAddress[] {
  const listeners = parseListeners('listeners', settings.listeners)
  if (listeners.length === 0)
    throw new SettingsError(['Invalid value for configuration listeners: at least one is needed'])
  const span = settings.addressing === 'shard' ? shardCount : 1
  const taken = new Map<number, string>()
  for (const { name, port } of listeners) {
    if (port + span - 1 > 65_535)
      throw new SettingsError([`Listener ${name}: ports ${port} to ${port + span - 1} do not exist`])
    for (let at = port; port !== 0 && at < port + span; at++) {
      const other = taken.get(at)
      if (other !== undefined) throw new SettingsError([`Listeners ${other} and ${name} both need port ${at}`])
      taken.set(at, name)
    }
  }
  return listeners
}

/** Where shard `shard` listens. */
export function shardListeners(
  settings: BrokerSettings,
  listeners: readonly ListenerAddress[],
  shard: number
): ShardListener[] {
  const reusePort = settings.addressing === 'node'
  return listeners.map(({ name, host, port }) => ({
    name,
    host,
    port: port === 0 || reusePort ? port : port + shard,
    reusePort
  }))
}

/** What clients are told. `routeTable` is the text of /proc/net/route, empty where there is none. */
export function planAdvertising(settings: BrokerSettings, routeTable: string): Advertising {
  const advertised = new Map(
    parseListeners('advertised.listeners', settings['advertised.listeners']).map(l => [l.name, l])
  )
  const known = new Set(parseListeners('listeners', settings.listeners).map(listener => listener.name))
  for (const name of advertised.keys()) {
    if (!known.has(name)) throw new SettingsError([`advertised.listeners names ${name}, which is not in listeners`])
  }
  const host = settings['advertised.gateway.host']
  const address = host === '' ? undefined : defaultGateway(routeTable)
  return { advertised, gateway: address === undefined ? undefined : { address, host } }
}

/** Where a node listens for other nodes, and whom it asks for its cluster. */
export interface RpcPlan {
  /** Where shard 0 listens, shard i on port + i; undefined on a node that is alone. */
  readonly listen: Endpoint | undefined
  /** What other nodes are told. */
  readonly advertised: Endpoint
  readonly seeds: readonly Endpoint[]
}

/** How this node is reached by others. `inCluster`: it is a member of a cluster with other nodes already. */
export function planRpc(
  settings: BrokerSettings,
  listeners: readonly ListenerAddress[],
  hostname: string,
  inCluster: boolean
): RpcPlan {
  const seeds = settings.seeds.map(seed => {
    const endpoint = parseHostPort('seeds', seed)
    if (endpoint.port > 0 && endpoint.host !== '') return endpoint
    throw new SettingsError([`Invalid value ${seed} for configuration seeds: expected host:port`])
  })
  const asked = settings['rpc.listener']
  const byDefault = { host: listeners[0]?.host ?? DEFAULT_RPC.host, port: DEFAULT_RPC.port }
  const wanted = asked !== '' ? parseHostPort('rpc.listener', asked) : byDefault
  const listens = asked !== '' || seeds.length > 0 || inCluster
  const told = settings['advertised.rpc.listener']
  const advertised =
    told !== ''
      ? parseHostPort('advertised.rpc.listener', told)
      : { ...wanted, host: isAnyHost(wanted.host) ? hostname : wanted.host }
  return { listen: listens && wanted.port >= 0 ? wanted : undefined, advertised, seeds }
}

/** What a node says of itself to other nodes. `nodeId` is not known before it is a member. */
export function describeNode(
  settings: BrokerSettings,
  node: { readonly instance: string; readonly shardCount: number },
  listeners: readonly ListenerAddress[],
  rpc: Endpoint
): Omit<NodeDescription, 'nodeId'> {
  const advertised = parseListeners('advertised.listeners', settings['advertised.listeners'])
  return {
    instance: node.instance,
    shardCount: node.shardCount,
    rack: settings['broker.rack'],
    rpc,
    listeners: listeners.map((listener): ListenerEndpoint => {
      const { name, host, port } = advertised.find(told => told.name === listener.name) ?? listener
      const reachable = isAnyHost(host) || isLoopback(host) ? rpc.host : host
      return { name, host: reachable, port, portPerShard: settings.addressing === 'shard' }
    })
  }
}

const isAnyHost = (host: string): boolean => host === '' || host === '0.0.0.0' || host === '::'

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)
