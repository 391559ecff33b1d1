/**
 * A listening socket. Real implementation of a port: this file knows Node's servers.
 *
 * Accepts, applies the connection quota, tells how the client reached us, hands the paused socket on. `reusePort` lets every
 * shard listen on the same port, with the kernel spreading connections over them.
 */
import net from 'node:net'
import type { Dial } from '../ports.ts'
import type { ConnectionQuota } from './connection-quota.ts'

/** Where clients may connect. */
export interface ListenerOptions {
  /** As in the configuration, e.g. PLAINTEXT. */
  readonly name: string
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Share the port with other processes (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean
}

/** Where a listener listens, with the port that it got. */
export interface BoundAddress {
  readonly name: string
  readonly host: string
  readonly port: number
}

/** What a listener tells of connections. */
export interface ListenerSink {
  readonly quota: ConnectionQuota
  accepted(socket: net.Socket, dial: Dial): void
  refused(): void
  failed(error: Error): void
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: net.Server

  constructor(options: ListenerOptions, sink: ListenerSink) {
    this.#options = options
    this.#server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, socket => this.#accept(socket, sink))
    this.#server.on('error', error => sink.failed(error))
  }

  /** Resolves when connections are accepted; rejects when the address cannot be bound. */
  listen(backlog: number): Promise<BoundAddress> {
    const { name, host, port, reusePort = false } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host, port, reusePort, backlog }, () => {
        this.#server.off('error', reject)
        const address = this.#server.address() as net.AddressInfo
        resolve({ name, host: address.address, port: address.port })
      })
    })
  }

  /** Accepts no more; open connections stay. */
  close(): void {
    this.#server.close()
  }

  #accept(socket: net.Socket, sink: ListenerSink): void {
    const { remoteAddress, localAddress, localPort } = socket
    // A client that is gone before we looked has no address left.
    if (remoteAddress === undefined || localAddress === undefined || localPort === undefined) {
      socket.destroy()
      return
    }
    if (!sink.quota.enter(remoteAddress)) {
      sink.refused()
      socket.destroy()
      return
    }
    sink.accepted(socket, { listener: this.#options.name, localAddress, localPort, remoteAddress })
  }
}
