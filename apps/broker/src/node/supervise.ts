/**
 * A node as processes: claims the data folder, starts one pinned process per shard, offers the admin API, drains on request.
 * This process holds no data and serves no Kafka client.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { recommendedShardExecArgv, startShards, type Shards } from '@milena/shard-scheduler/supervisor'
import type { Logger } from 'pino'
import type { AdminServer } from '../admin/admin-listener.ts'
import { ShardRequests, type FromShardMessage } from '../admin/shard-requests.ts'
import { brokerIdOf } from '../controller/metadata/cluster-state.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { parseHostPort } from '../settings/listener.ts'
import { SettingsError } from '../settings/parse.ts'
import type { ShardConfig } from '../shard/shard-main.ts'
import { systemClock } from '../system-clock.ts'
import { claimNode } from './claim-node.ts'
import { claimDataFolder, newUuid, readIdentity, saveMembership } from './data-folder.ts'
import {
  askedNodeId,
  describeNode,
  planAdvertising,
  planListeners,
  planRpc,
  planShardCount,
  shardListeners
} from './node-plan.ts'

/** The shard that answers for the cluster. */
const FIRST_SHARD = 0

/** Longest time a drain may take before shards are stopped the hard way. */
const DRAIN_DEADLINE_MS = 20_000

export interface Node {
  /** Resolves when every shard served once; rejects when one cannot start. */
  readonly ready: Promise<void>
  readonly shardCount: number
  /** Drains all shards, then resolves. */
  stop(): Promise<void>
}

/** Starts a node. Throws a SettingsError when settings and data folder do not fit together. */
export async function superviseNode(settings: BrokerSettings, log: Logger): Promise<Node> {
  const dataFolder = resolve(settings['log.dirs'])
  const shardCount = planShardCount(settings, readIdentity(dataFolder)?.shardCount, availableParallelism())
  const listeners = planListeners(settings, shardCount)
  if (listeners.some(listener => listener.port === 0)) {
    throw new SettingsError([
      'A node of processes needs fixed ports: port 0 in listeners works with startBroker() only'
    ])
  }
  const advertising = planAdvertising(settings, readRouteTable())
  const folder = claimDataFolder(dataFolder, { nodeId: askedNodeId(settings), shardCount })
  const rpc = planRpc(settings, listeners, hostname(), (folder.membership?.nodes.length ?? 0) > 1)
  const candidate = describeNode(settings, folder, listeners, rpc.advertised)
  const identity = await claimNode({
    folder,
    node: candidate,
    nodeId: askedNodeId(settings),
    rpc,
    openPeers: async listen =>
      (await import('../cluster/membership/discovery-network.ts')).openDiscoveryNetwork(listen),
    save: membership => void saveMembership(dataFolder, membership),
    newClusterId: newUuid,
    clock: systemClock,
    log
  })
  const node = { ...candidate, nodeId: identity.nodeId }
  const config: ShardConfig = { settings, identity, node, rpc: rpc.listen, dataFolder, listeners, advertising }
  const shards = startShards({
    shardCount,
    entry: new URL(
      import.meta.url.endsWith('.ts') ? '../shard/shard-main.ts' : '../shard/shard-main.js',
      import.meta.url
    ),
    config,
    pin: settings['shard.pinning'],
    execArgv: [...new Set([...process.execArgv, ...recommendedShardExecArgv()])],
    socketFolder: join(dataFolder, 'run'),
    drainDeadlineMs: DRAIN_DEADLINE_MS,
    log
  })
  const serving = watchServing(shards)
  let admin: AdminServer | undefined
  try {
    admin = await openAdmin(settings, shards, serving, () => ({
      version: 1,
      clusterId: identity.clusterId,
      nodeId: identity.nodeId,
      shards: shards.reports.map(report => ({
        shard: report.shard,
        brokerId: brokerIdOf(identity.nodeId, report.shard),
        state: report.state.kind,
        serving: serving.has(report.shard),
        pid: report.pid ?? null,
        restarts: report.restartCount,
        listeners: shardListeners(settings, listeners, report.shard).map(({ name, host, port }) => ({
          name,
          host,
          port
        }))
      }))
    }))
  } catch (error) {
    await shards.drain()
    throw error
  }
  return {
    ready: shards.ready,
    shardCount,
    stop: async () => {
      await shards.drain()
      await admin?.close()
    }
  }
}

async function openAdmin(
  settings: BrokerSettings,
  shards: Shards,
  serving: ReadonlySet<number>,
  describe: () => object
): Promise<AdminServer | undefined> {
  const { host, port } = parseHostPort('admin.listener', settings['admin.listener'])
  if (port < 0) return undefined
  const requests = new ShardRequests({
    send: (shard, message) => shards.send(shard, message),
    after: systemClock.after
  })
  shards.onMessage((_, payload) => requests.receive(payload as FromShardMessage))
  const { startAdminServer } = await import('../admin/admin-listener.ts') // while the shards start, not before
  return startAdminServer({
    host,
    port,
    ready: () => shards.reports.every(report => report.state.kind === 'ready' && serving.has(report.shard)),
    describe,
    shardStatus: shard => shards.status(shard),
    ask: (name, request) => requests.ask(FIRST_SHARD, name, request)
  })
}

/** The shards that answer clients now: a shard may run and still wait for its cluster. */
function watchServing(shards: Shards): ReadonlySet<number> {
  const serving = new Set<number>()
  shards.onMessage((shard, payload) => {
    if ((payload as FromShardMessage).kind === 'serving') serving.add(shard)
  })
  shards.onState(({ shard, state }) => {
    if (state.kind !== 'ready') serving.delete(shard)
  })
  return serving
}

/** The kernel's route table, for `advertised.gateway.host`; empty where there is no /proc. */
function readRouteTable(): string {
  try {
    return readFileSync('/proc/net/route', 'utf8')
  } catch {
    return ''
  }
}
