/**
 * A broker inside this process: the same code as `milena start`, for tests and for applications that embed one.
 *
 *     const broker = await startBroker()
 *     // connect any Kafka client to broker.bootstrapServers
 *     await broker.stop()
 *
 * All shards share this process and its core; they still talk only through a mesh, in memory. Storage is in memory unless a
 * folder is given; then everything is as durable as in production.
 */
import type { Logger } from 'pino'
import { peersAlone } from './cluster/peers/peers-alone.ts'
import { createLogger } from './logging.ts'
import { claimNode } from './node/claim-node.ts'
import { claimDataFolder, newUuid, saveMembership } from './node/data-folder.ts'
import { memoryStorage, startEmbeddedNode } from './node/embedded-node.ts'
import { askedNodeId, DEFAULT_RPC, describeNode, planListeners } from './node/node-plan.ts'
import type { BrokerSettings, BrokerSettingName } from './settings/broker-settings.ts'
import { parseBrokerSettings } from './settings/parse.ts'
import type { ShardStatus } from './shard/contract.ts'
import { systemClock, type BrokerClock } from './system-clock.ts'

export interface StartBrokerOptions {
  /** Folder for durable storage; absent: everything in memory, gone with `stop`. */
  readonly dataFolder?: string
  /** Shards in this process, each a Kafka broker with a port of its own. Default 1. */
  readonly shardCount?: number
  /** Any setting by its (Kafka) name, as text. `listeners` defaults to a free port on 127.0.0.1. */
  readonly settings?: Partial<Record<BrokerSettingName, string>>
  /** Default: the system's clock. */
  readonly clock?: BrokerClock
  /** Default: pino at `log.level`, which is `warn` here. */
  readonly log?: Logger
}

export interface EmbeddedBroker {
  /** host:port of every shard, comma separated. */
  readonly bootstrapServers: string
  readonly clusterId: string
  status(): readonly ShardStatus[]
  /** Answers what is in flight, makes everything durable, frees all ports. */
  stop(): Promise<void>
}

/** Memory of each shard's store when nothing else is said: an embedded broker is one of many things in its process. */
const STORE_MEMORY_BYTES = 32 * 1024 * 1024
const JOURNAL_BYTES = 16 * 1024 * 1024

/** Settings of an embedded broker: smaller and quieter than those of a node. Throws a SettingsError. */
export function embeddedSettings(settings: StartBrokerOptions['settings']): BrokerSettings {
  const raw = {
    listeners: 'PLAINTEXT://127.0.0.1:0',
    'log.level': 'warn',
    'store.memory.bytes': String(STORE_MEMORY_BYTES),
    'journal.bytes': String(JOURNAL_BYTES),
    ...settings
  }
  return parseBrokerSettings(new Map(Object.entries(raw)))
}

/** Starts a broker. Resolves when clients can use it; rejects with a SettingsError for settings that cannot be. */
export async function startBroker(options: StartBrokerOptions = {}): Promise<EmbeddedBroker> {
  const { dataFolder } = options
  const shardCount = options.shardCount ?? 1
  const settings = embeddedSettings(options.settings)
  const log = options.log ?? createLogger(settings['log.level'], {})
  const clock = options.clock ?? systemClock
  const listeners = planListeners(settings, shardCount)
  const nodeId = askedNodeId(settings)
  const folder =
    dataFolder === undefined
      ? { instance: newUuid(), shardCount, membership: undefined }
      : claimDataFolder(dataFolder, { nodeId, shardCount })
  const candidate = describeNode(settings, folder, listeners, DEFAULT_RPC)
  const identity = await claimNode({
    folder,
    node: candidate,
    nodeId,
    rpc: { listen: undefined, advertised: DEFAULT_RPC, seeds: [] },
    openPeers: () => Promise.reject(new Error('an embedded broker is alone')),
    save: membership => {
      if (dataFolder !== undefined) saveMembership(dataFolder, membership)
    },
    newClusterId: newUuid,
    clock,
    log
  })
  const node = await startEmbeddedNode({
    settings,
    identity,
    node: { ...candidate, nodeId: identity.nodeId },
    listeners,
    storage: dataFolder ?? memoryStorage(shardCount),
    openPeers: peersAlone,
    clock,
    log
  })
  return {
    bootstrapServers: node.addresses.join(','),
    clusterId: identity.clusterId,
    status: () => node.status(),
    stop: () => node.stop()
  }
}
