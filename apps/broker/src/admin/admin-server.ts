/**
 * The admin API over HTTP (default port 9644): what operators, probes and tools ask a node.
 *
 *   GET /v1/status/ready   200 {"status":"ready"} once every shard serves, 503 {"status":"booting"} before and after
 *   GET /v1/status         the node: cluster id, shards with state, pid, restarts, ports
 *   GET /v1/shards/:shard  one shard from inside: memory, CPU, stalls, store, partitions
 *   the cluster            see cluster-routes.ts
 */
import fastify from 'fastify'
import { addClusterRoutes, type AskOperation } from './cluster-routes.ts'

/** Largest request body; nothing here takes one. */
const BODY_BYTES_MAX = 64 * 1024

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly ready: () => boolean
  readonly describe: () => object
  /** Rejects when the shard has no process or does not answer. */
  readonly shardStatus: (shard: number) => Promise<unknown>
  readonly ask: AskOperation
}

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

/** Listens and answers. Rejects when the port is taken. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const server = fastify({ bodyLimit: BODY_BYTES_MAX, requestTimeout: 10_000, forceCloseConnections: true })
  server.get('/v1/status/ready', (_, reply) => {
    const ready = options.ready()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'booting' })
  })
  server.get('/v1/status', (_, reply) => reply.send(options.describe()))
  server.get<{ Params: { shard: string } }>('/v1/shards/:shard', async (request, reply) => {
    const shard = Number(request.params.shard)
    try {
      return await reply.send(plain(await options.shardStatus(shard)))
    } catch (error) {
      return reply.code(404).send({ error: error instanceof Error ? error.message : String(error) })
    }
  })
  addClusterRoutes(server, options.ask)
  await server.listen({ host: options.host === '' ? '::' : options.host, port: options.port })
  const address = server.server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () => server.close()
  }
}

/** JSON has no bigint: as text. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
  )
}
