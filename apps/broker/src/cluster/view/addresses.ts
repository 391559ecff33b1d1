/**
 * Which address a client is told for each broker.
 *
 * The default is the address that this client dialled: it reached us there, so it will again. `advertised.listeners`
 * overrides it. A client whose packets come from the default gateway of our network is a client on the container host behind
 * a published port; for it `advertised.gateway.host` can be set.
 */
import type { Dial } from '@milena/gateway'
import type { ListenerAddress } from '../../settings/listener.ts'

export interface Advertising {
  /** Configured addresses by listener name. */
  readonly advertised: ReadonlyMap<string, ListenerAddress>
  /** Undefined: clients behind it are told what others are. */
  readonly gateway: NetworkGateway | undefined
}

/** The default gateway of this network namespace, and the host that clients behind it are told. */
export interface NetworkGateway {
  readonly address: string
  readonly host: string
}

/** Host and base port for this client. `listenerPort` is the port that shard 0 listens on. */
export function advertisedAddress(
  advertising: Advertising,
  dial: Dial,
  listenerPort: number
): { host: string; port: number } {
  const configured = advertising.advertised.get(dial.listener)
  if (configured !== undefined) return { host: configured.host, port: configured.port }
  const { gateway } = advertising
  if (comesThrough(gateway, dial)) return { host: gateway.host, port: listenerPort }
  return { host: plainAddress(dial.localAddress), port: listenerPort }
}

/** Whether this client's packets come from the gateway. */
export function comesThrough(gateway: NetworkGateway | undefined, dial: Dial): gateway is NetworkGateway {
  return gateway !== undefined && plainAddress(dial.remoteAddress) === gateway.address
}

/** An IPv4 address without the IPv6 wrapping of dual-stack sockets, without a zone. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '')
}

/** The default gateway of this network namespace from the text of /proc/net/route, if there is one. */
export function defaultGateway(routeTable: string): string | undefined {
  for (const line of routeTable.split('\n').slice(1)) {
    const [, destination, gateway] = line.split(/\s+/)
    if (destination !== '00000000' || gateway === undefined || !/^[0-9A-F]{8}$/.test(gateway)) continue
    const bytes = gateway
      .match(/../g)
      ?.map(hex => parseInt(hex, 16))
      .reverse()
    if (bytes !== undefined && bytes.some(byte => byte !== 0)) return bytes.join('.')
  }
  return undefined
}
