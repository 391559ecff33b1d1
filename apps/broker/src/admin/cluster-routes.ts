/**
 * The part of the admin API that is about the cluster; any node answers.
 *
 *   GET  /v1/cluster                          nodes, shards, leaders, what is unhealthy, which balancers run
 *   POST /v1/nodes/:id/decommission           moves its replicas away, then removes it; ?dryRun=true shows the plan only. Asked
 *                                             again: what is left to move, what cannot (stuck), and what waits for whom (waits)
 *   POST /v1/nodes/:id/recommission           stops that; replicas that have moved stay where they are
 *   POST /v1/nodes/:id/maintenance            ?on=true: it leads nothing until ?on=false
 *   GET  /v1/balancers/:kind                  kind leaders or partitions: whether it runs and what it would do next
 *   POST /v1/balancers/:kind/pause, /resume   for the whole cluster
 *   GET  /v1/reassignments                    partitions that move, and how far they are; brokers that keep replicas after moves
 *                                             that were given up, until the leader says who votes
 *   POST /v1/reassignments/cancel             all of them
 *   POST /v1/partitions/:topic/:n/leader      ?broker=ID: hands leadership to that replica
 *   GET  /v1/recovery                         partitions without a quorum: what is left, what an unclean recovery would cost;
 *                                             ?topic=T and ?topic=T&partition=N: only these
 *   POST /v1/recovery?plan=DIGEST             does what that plan says, for the same partitions; refused if it would differ
 *   GET  /v1/recovery/controller, POST        the same for the controller's own group
 *
 * Refusals are 4xx with { "error": one sentence }; 503 and 504 mean that nobody could answer now.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { OperationName } from '../cluster/operations.ts'
import { ShardRequestError } from './shard-requests.ts'

/** Puts an operation to a shard of this node; rejects with a `ShardRequestError`. */
export type AskOperation = (name: OperationName, request: object) => Promise<object>

interface NodeRoute {
  Params: { id: string }
  Querystring: { dryRun?: string; on?: string }
}
interface BalancerRoute {
  Params: { kind: string }
}
interface PartitionRoute {
  Params: { topic: string; partition: string }
  Querystring: { broker?: string }
}

interface RecoveryRoute {
  Querystring: { topic?: string; partition?: string; plan?: string }
}

export function addClusterRoutes(server: FastifyInstance, ask: AskOperation): void {
  const answer = async (reply: FastifyReply, name: OperationName, request: () => object): Promise<FastifyReply> => {
    try {
      return await reply.send(await ask(name, request()))
    } catch (error) {
      if (!(error instanceof ShardRequestError)) throw error
      return reply.code(error.status).send({ error: error.message })
    }
  }
  server.get('/v1/cluster', (_, reply) => answer(reply, 'describeCluster', () => ({})))
  server.post<NodeRoute>('/v1/nodes/:id/decommission', ({ params, query }, reply) =>
    answer(reply, 'decommission', () => {
      return { nodeId: wholeNumber('node', params.id), dryRun: flag('dryRun', query.dryRun, false) }
    })
  )
  server.post<NodeRoute>('/v1/nodes/:id/recommission', ({ params }, reply) =>
    answer(reply, 'recommission', () => ({ nodeId: wholeNumber('node', params.id) }))
  )
  server.post<NodeRoute>('/v1/nodes/:id/maintenance', ({ params, query }, reply) =>
    answer(reply, 'maintenance', () => {
      return { nodeId: wholeNumber('node', params.id), on: flag('on', query.on, true) }
    })
  )
  server.get<BalancerRoute>('/v1/balancers/:kind', ({ params }, reply) =>
    answer(reply, 'balancePlan', () => ({ kind: balancer(params.kind) }))
  )
  for (const [verb, enabled] of [
    ['pause', false],
    ['resume', true]
  ] as const) {
    server.post<BalancerRoute>(`/v1/balancers/:kind/${verb}`, ({ params }, reply) =>
      answer(reply, 'balancer', () => ({ kind: balancer(params.kind), enabled }))
    )
  }
  server.get('/v1/reassignments', (_, reply) => answer(reply, 'reassignments', () => ({})))
  server.post('/v1/reassignments/cancel', (_, reply) => answer(reply, 'cancelReassignments', () => ({})))
  server.post<PartitionRoute>('/v1/partitions/:topic/:partition/leader', ({ params, query }, reply) =>
    answer(reply, 'transferLeadership', () => {
      const partition = wholeNumber('partition', params.partition)
      return { topic: params.topic, partition, target: wholeNumber('broker', query.broker ?? '') }
    })
  )
  server.get<RecoveryRoute>('/v1/recovery', ({ query }, reply) => answer(reply, 'recoveryPlan', () => scope(query)))
  server.post<RecoveryRoute>('/v1/recovery', ({ query }, reply) =>
    answer(reply, 'recover', () => ({ ...scope(query), plan: planDigest(query.plan) }))
  )
  server.get('/v1/recovery/controller', (_, reply) => answer(reply, 'controllerRecoveryPlan', () => ({})))
  server.post<RecoveryRoute>('/v1/recovery/controller', ({ query }, reply) =>
    answer(reply, 'recoverController', () => ({ plan: planDigest(query.plan) }))
  )
}

function scope({ topic, partition }: RecoveryRoute['Querystring']): { topic?: string; partition?: number } {
  if (topic === undefined) {
    if (partition === undefined) return {}
    throw new ShardRequestError(400, 'partition without topic')
  }
  return { topic, ...(partition !== undefined && { partition: wholeNumber('partition', partition) }) }
}

/** Nothing is given up without the plan that says what. */
function planDigest(text: string | undefined): string {
  if (text !== undefined && /^[0-9a-f]{16}$/.test(text)) return text
  throw new ShardRequestError(400, 'plan: expected the digest that GET of the same address shows')
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new ShardRequestError(400, `${name} ${JSON.stringify(text)}: expected a number`)
}

function flag(name: string, text: string | undefined, absent: boolean): boolean {
  if (text === undefined) return absent
  if (text === 'true' || text === 'false') return text === 'true'
  throw new ShardRequestError(400, `${name} ${JSON.stringify(text)}: expected true or false`)
}

function balancer(kind: string): 'leaders' | 'partitions' {
  if (kind === 'leaders' || kind === 'partitions') return kind
  throw new ShardRequestError(404, `no balancer ${JSON.stringify(kind)}: there are leaders and partitions`)
}
