/**
 * From settings to what a node will run: how many shards, which addresses each listens on, what is advertised. Pure.
 */
import { defaultGateway, type Advertising } from './cluster/addresses.ts'
import type { ShardListener } from './shard.ts'
import type { BrokerSettings } from './settings/broker-settings.ts'
import { parseListeners, type ListenerAddress } from './settings/listener.ts'
import { SettingsError } from './settings/parse.ts'

/** Most shards that are started by themselves; more must be asked for. */
const AUTOMATIC_SHARDS_MAX = 16

/** Shards of a node: as asked, else as the data folder has, else one per core. */
export function planShardCount(settings: BrokerSettings, known: number | undefined, coreCount: number): number {
  const asked = settings['num.shards']
  if (asked > 0) return asked
  return known ?? Math.max(1, Math.min(coreCount, AUTOMATIC_SHARDS_MAX))
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
