/** Bugs planted at the cluster level: between a shard and its ports, or between its handlers and its partitions. */
import { logName, nodeOf, type OpenShard } from '@milena/broker/testing'
import type { PartitionPort } from '@milena/gateway'
import { batchHeader } from '@milena/wire-protocol'
import { runCluster } from '../cluster/cluster-simulation.ts'
import type { ClusterPlant } from '../cluster/cluster-site.ts'
import type { Canary } from './canary.ts'
import { overridden } from './replication-canaries.ts'

/** Simulated seconds with faults that suffice here: nodes restart often enough. */
const SECONDS_MAX = 20
/** Every so many pushes of metadata one is lost. */
const PUSHES_A_LOSS = 5

const plants: readonly (ClusterPlant & { readonly name: string; readonly bug: string })[] = [
  {
    name: 'leader-acks-alone',
    bug: 'acks=all is answered when the leader has it',
    wrapOpen: open =>
      withPartitions(open, partition => ({
        append: (records, options) => partition.append(records, { ...options, acks: 1 })
      }))
  },
  {
    name: 'idempotence-ignored',
    bug: 'batches of idempotent producers are appended as if nobody had sent them before',
    wrapOpen: open =>
      withPartitions(open, partition => ({
        append: (records, options) => partition.append(withoutProducer(records), options)
      }))
  },
  {
    name: 'watermark-is-log-end',
    bug: 'readers are told the end of the log as its high watermark',
    wrapOpen: open =>
      withPartitions(open, (partition, group) => ({
        read: async request => {
          const outcome = await partition.read(request)
          if (outcome.kind !== 'data') return outcome
          return { ...outcome, highWatermark: open.replicas.groups.get(group)?.log.endOffset ?? outcome.highWatermark }
        }
      }))
  },
  {
    name: 'metadata-push-lost',
    bug: 'a shard answers a push of metadata and does not apply it',
    wrapShard: options => {
      let count = 0
      const serve: typeof options.mesh.serve = (service, handler) =>
        options.mesh.serve(service, (payload, from) => {
          if (service === 'metadata.apply' && ++count % PUSHES_A_LOSS === 0) {
            const { revision } = JSON.parse(Buffer.from(payload).toString()) as { revision: number }
            return Buffer.from(JSON.stringify({ revision }))
          }
          return handler(payload, from)
        })
      return { ...options, mesh: overridden(options.mesh, { serve }) }
    }
  },
  {
    name: 'decommission-forgotten',
    bug: 'an operator is told that a node leaves, and nobody is told to',
    wrapShard: options => {
      const submitTo: typeof options.mesh.submitTo = (shard, service, payload, submit) =>
        options.mesh.submitTo(shard, service, service === 'controller.ask' ? withoutLeaving(payload) : payload, submit)
      return { ...options, mesh: overridden(options.mesh, { submitTo }) }
    }
  },
  {
    name: 'number-given-twice',
    bug: 'a node that joins is given the number of another one',
    wrapShard: options => {
      const serve: typeof options.peers.serve = (service, handler, open) =>
        options.peers.serve(
          service,
          async (payload, from) => {
            const answer = await handler(payload, from)
            return service === 'cluster.join' ? withNumber(answer, options.identity.nodeId) : answer
          },
          open
        )
      return { ...options, peers: overridden(options.peers, { serve }) }
    }
  },
  { name: 'membership-not-written', bug: 'a node forgets its cluster when it stops', forgetsMembership: true },
  {
    name: 'two-controllers',
    bug: 'a founder begins the log of the controller with its own node alone',
    wrapShard: options => {
      const { identity } = options
      const self = identity.founders.filter(({ instance }) => instance === identity.instance)
      return nodeOf(options.peers.self) === 0 ? options : { ...options, identity: { ...identity, founders: self } }
    }
  }
]

export const clusterCanaries: readonly Canary[] = plants.map(({ name, bug, ...plant }) => ({
  name,
  bug,
  level: 'cluster',
  run: (seed, seconds) => runCluster({ seed, seconds: Math.min(seconds, SECONDS_MAX), plant })
}))

/** A shard whose partitions are wrapped. */
function withPartitions(
  open: OpenShard,
  wrap: (partition: PartitionPort, group: string) => Partial<PartitionPort>
): OpenShard {
  const { host } = open
  const find: typeof host.partitions.find = (topicId, number) => {
    const found = host.partitions.find(topicId, number)
    const topic = open.metadata.topicsById.get(topicId)
    if ('error' in found || topic === undefined) return found
    return overridden(found, wrap(found, logName(topic, number)))
  }
  return overridden(open, { host: overridden(host, { partitions: overridden(host.partitions, { find }) }) })
}

/** A question to the controller; that a node is to leave becomes that it stays. */
function withoutLeaving(payload: Uint8Array): Uint8Array {
  const question = JSON.parse(Buffer.from(payload).toString()) as { name: string; request: { mode?: string } }
  if (question.name !== 'setNodeMode' || question.request.mode !== 'decommissioning') return payload
  return Buffer.from(JSON.stringify({ ...question, request: { ...question.request, mode: 'active' } }))
}

/** What a node that joins is told, with another number. */
function withNumber(answer: Uint8Array, nodeId: number): Uint8Array {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(answer).toString()) as object), nodeId }))
}

/** Where a batch names its producer: id (8 bytes), epoch (2), base sequence (4). */
const PRODUCER_AT = 43
const PRODUCER_END = 57

function withoutProducer(records: Uint8Array): Uint8Array {
  const batch = Uint8Array.from(records)
  batch.fill(0xff, PRODUCER_AT, PRODUCER_END)
  batchHeader.updateCrc(batch, 0)
  return batch
}
