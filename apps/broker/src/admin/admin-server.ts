/**
 * What the admin API answers, apart from readiness (admin-listener.ts):
 *
 *   GET /v1/status         the node: cluster id, shards with state, pid, restarts, ports
 *   GET /v1/shards/:shard  one shard from inside: memory, CPU, stalls, store, partitions
 *   the cluster            see cluster-routes.ts
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import fastify from 'fastify'
import { addClusterRoutes, type AskOperation } from './cluster-routes.ts'

/** Largest request body; nothing here takes one. */
const BODY_BYTES_MAX = 64 * 1024

export interface AdminOptions {
  readonly describe: () => object
  /** Rejects when the shard has no process or does not answer. */
  readonly shardStatus: (shard: number) => Promise<unknown>
  readonly ask: AskOperation
}

/** Answers one request. */
export type AdminApi = (request: IncomingMessage, response: ServerResponse) => void

/** The routes, for a server to call. */
export async function openAdminApi(options: AdminOptions): Promise<AdminApi> {
  const server = fastify({ bodyLimit: BODY_BYTES_MAX })
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
  await server.ready()
  return (request, response) => server.routing(request, response)
}

/** JSON has no bigint: as text. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner))
  )
}
