/** A gateway that listens on a free loopback port in front of a host in memory, with everything a test wants to reach. */
import { createGateway, type Gateway } from '../gateway.ts'
import type { GatewaySettings } from '../settings.ts'
import { MemoryHost } from './memory-host.ts'
import { RawClient } from './raw-client.ts'

export class ServedGateway {
  readonly host: MemoryHost
  readonly gateway: Gateway
  readonly port: number
  readonly #clients: RawClient[] = []

  private constructor(host: MemoryHost, gateway: Gateway, port: number) {
    this.host = host
    this.gateway = gateway
    this.port = port
  }

  /** Listens. `settings` are those that differ from the defaults. */
  static async start(settings: Partial<GatewaySettings> = {}, host = new MemoryHost()): Promise<ServedGateway> {
    const listeners = [{ name: 'PLAINTEXT', host: '127.0.0.1', port: 0 }]
    const gateway = createGateway({ host, settings, listeners })
    const [bound] = await gateway.listen()
    if (bound === undefined) throw new Error('not bound')
    return new ServedGateway(host, gateway, bound.port)
  }

  /** A client that `stop` will close. */
  async connect(options: { allowHalfOpen?: boolean } = {}): Promise<RawClient> {
    const client = await RawClient.connect(this.port, '127.0.0.1', options)
    this.#clients.push(client)
    return client
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.gateway.close({ drainMs: 200 })
  }
}
