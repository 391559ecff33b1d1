/**
 * The admin API over HTTP (default port 9644): what operators, probes and tools ask a node.
 *
 *   GET /v1/status/ready   200 {"status":"ready"} once every shard serves, 503 {"status":"booting"} before and after
 *   everything else        admin-server.ts
 *
 * Probes ask for readiness all the time and while the shards start; it is answered here, by Node's own server. The framework behind
 * the rest is loaded when somebody first asks for more: it costs 0.2 s of a core, which the shards need while they start, and
 * 17 MB. Real implementation of a port: listens on a socket.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminApi, AdminOptions } from './admin-server.ts'

/** A request must be complete within this time. */
const REQUEST_TIMEOUT_MS = 10_000

export interface AdminListenerOptions extends AdminOptions {
  readonly host: string
  readonly port: number
  readonly ready: () => boolean
}

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

/** Listens and answers. Rejects when the port is taken. */
export async function startAdminServer(options: AdminListenerOptions): Promise<AdminServer> {
  let api: Promise<AdminApi> | undefined
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    if (isProbe(request)) return answerProbe(options.ready(), response)
    api ??= import('./admin-server.ts').then(({ openAdminApi }) => openAdminApi(options))
    api.then(
      answer => answer(request, response),
      error => response.destroy(error instanceof Error ? error : new Error(String(error)))
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: options.host === '' ? '::' : options.host, port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

function isProbe({ method, url }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && url?.split('?', 1)[0] === '/v1/status/ready'
}

function answerProbe(ready: boolean, response: ServerResponse): void {
  const body = JSON.stringify({ status: ready ? 'ready' : 'booting' })
  response.writeHead(ready ? 200 : 503, { 'content-type': 'application/json; charset=utf-8' }).end(body)
}
