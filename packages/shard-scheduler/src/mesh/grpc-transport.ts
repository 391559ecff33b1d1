/**
 * Real implementation of the mesh's links: gRPC over Unix sockets. Each shard serves `Link` on its own socket in the broker's
 * private folder and dials every shard with a higher number, so a pair has exactly one stream. Each side names its shard and proves
 * membership by the broker's token before anything else is read. A process that restarts is a new stream and so a new link:
 * nothing of its predecessor's calls can meet it.
 *
 *       shard 0 ──dials──► shard 1            a stream that ends: link down on both sides, the dialling side tries again
 *          └────dials──► shard 2 ◄──dials── 1    after 10 ms, 20 ms, ... 200 ms
 */
import { timingSafeEqual } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { GrpcDialer } from '../grpc/grpc-dialer.ts'
import { acceptRequest, grpcStatus, refuseRequest, type GrpcTarget } from '../grpc/grpc-http2.ts'
import { GrpcServer, type Guest } from '../grpc/grpc-server.ts'
import { StreamLink, type StreamLinkHost } from '../grpc/stream-link.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { socketPath } from '../supervisor/socket-folder.ts'
import type { MeshCore, MeshTransport } from './mesh-core.ts'
import { receivedBatchBytesMax, type MeshLimits } from './mesh-limits.ts'

const LINK_PATH = '/milena.mesh.v1.Mesh/Link'
const SHARD_KEY = 'shard'
const TOKEN_KEY = 'token'
const REDIAL_MS = { min: 10, max: 200 }

export interface GrpcTransportOptions {
  readonly socketFolder: string
  readonly token: string
  readonly scheduler: Scheduler
  readonly limits: MeshLimits
}

/** Serves `core`'s socket and dials its peers. Ends when the socket listens; links come later. */
export async function openGrpcTransport(core: MeshCore, options: GrpcTransportOptions): Promise<MeshTransport> {
  const transport = new GrpcTransport(core, options)
  await transport.listen()
  transport.dialPeers()
  return transport
}

class GrpcTransport implements MeshTransport {
  readonly #core: MeshCore
  readonly #options: GrpcTransportOptions
  readonly #server: GrpcServer
  readonly #dialers: GrpcDialer<GrpcTarget>[] = []

  constructor(core: MeshCore, options: GrpcTransportOptions) {
    this.#core = core
    this.#options = options
    this.#server = new GrpcServer({
      scheduler: options.scheduler,
      onRequest: (stream, headers, guest) => this.#accept(stream, headers, guest),
      onNonsense: () => {} // only this user's processes can reach the socket
    })
  }

  async listen(): Promise<void> {
    const path = this.#pathOf(this.#core.shard)
    rmSync(path, { force: true }) // a former process of this shard left it
    await this.#server.listen({ path })
  }

  dialPeers(): void {
    const { shard, shardCount } = this.#core
    for (let peer = shard + 1; peer < shardCount; peer++) {
      const dialer = new GrpcDialer(
        { path: this.#pathOf(peer) },
        {
          scheduler: this.#options.scheduler,
          path: LINK_PATH,
          metadata: this.#identity(),
          redialMs: REDIAL_MS,
          linked: (stream, headers) => {
            if (memberOf(headers, this.#options.token) !== peer) return 'not a member of this broker'
            this.#link(peer, host => new StreamLink(stream, host))
            return undefined
          },
          refused: () => {}
        }
      )
      this.#dialers.push(dialer)
      dialer.dial()
    }
  }

  async close(): Promise<void> {
    for (const dialer of this.#dialers) dialer.close()
    await this.#server.close()
    rmSync(this.#pathOf(this.#core.shard), { force: true })
  }

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, guest: Guest): void {
    const shard = headers[':path'] === LINK_PATH ? memberOf(headers, this.#options.token) : undefined
    if (shard === undefined || shard >= this.#core.shard) {
      refuseRequest(stream, grpcStatus.unauthenticated, 'not a member of this broker')
      return
    }
    guest.becomeMember()
    acceptRequest(stream, this.#identity())
    this.#link(shard, host => new StreamLink(stream, host))
  }

  #link(shard: number, open: (host: StreamLinkHost) => StreamLink): void {
    const link = open({
      batchBytesMax: receivedBatchBytesMax(this.#options.limits),
      receive: (from, frames) => this.#core.receive(shard, from, frames),
      down: (from, reason) => this.#core.linkDown(shard, from, `the link to shard ${shard} ${reason}`)
    })
    this.#core.linkUp(shard, link)
  }

  #identity(): Record<string, string> {
    return { [SHARD_KEY]: String(this.#core.shard), [TOKEN_KEY]: encodeURIComponent(this.#options.token) }
  }

  #pathOf(shard: number): string {
    return socketPath(this.#options.socketFolder, shard)
  }
}

/** The shard that `headers` speak for, if they prove a member. */
function memberOf(headers: IncomingHttpHeaders, token: string): number | undefined {
  const claimed = Buffer.from(String(headers[TOKEN_KEY] ?? ''))
  const expected = Buffer.from(encodeURIComponent(token))
  if (claimed.length !== expected.length || !timingSafeEqual(claimed, expected)) return undefined
  const shard = Number(headers[SHARD_KEY])
  return Number.isInteger(shard) && shard >= 0 ? shard : undefined
}
