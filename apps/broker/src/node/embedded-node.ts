/**
 * A node inside this process: all its shards on one event loop, with a mesh in memory. What `startBroker` and `startCluster` are
 * made of. Storage is in memory unless a folder is given; then everything is as durable as in production.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { memoryMeshes, type PeerNetwork } from '@milena/shard-scheduler'
import { MemoryDisk, MemoryStateDevice, openLmdbState, type Disk, type StateBackend } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { ClusterOperations } from '../cluster/operations.ts'
import { brokerIdOf, type NodeDescription } from '../controller/metadata/cluster-state.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { ListenerAddress } from '../settings/listener.ts'
import type { Shard, ShardStatus } from '../shard/contract.ts'
import { openShardDisk } from '../shard/shard-disk.ts'
import { startShard } from '../shard/start-shard.ts'
import { systemScheduler, type BrokerClock } from '../system-clock.ts'
import { saveMembership, shardFolder, type NodeIdentity } from './data-folder.ts'
import { planAdvertising } from './node-plan.ts'

const DRAIN_MS = 2_000

export interface EmbeddedNodeOptions {
  readonly settings: BrokerSettings
  readonly identity: NodeIdentity
  readonly node: NodeDescription
  readonly listeners: readonly ListenerAddress[]
  /** Where it keeps its data: a folder, or memory, one entry a shard, that outlives the node. */
  readonly storage: string | readonly MemoryStorage[]
  /** The peer network of each shard; closed with the node. */
  readonly openPeers: (brokerId: number, shard: number) => PeerNetwork
  readonly clock: BrokerClock
  readonly log: Logger
}

/** What a shard keeps in memory instead of on a disk. */
export interface MemoryStorage {
  readonly disk: MemoryDisk
  readonly state: MemoryStateDevice
}

export function memoryStorage(shardCount: number): MemoryStorage[] {
  return Array.from({ length: shardCount }, () => ({ disk: new MemoryDisk(), state: new MemoryStateDevice() }))
}

export interface EmbeddedNode {
  /** What operators ask of the cluster. */
  readonly operations: ClusterOperations
  /** host:port of every shard on the first listener. */
  readonly addresses: readonly string[]
  status(): readonly ShardStatus[]
  /** Answers what is in flight, makes everything durable, frees all ports. */
  stop(): Promise<void>
}

interface Storage {
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
}

/** Resolves when clients can use it. */
export async function startEmbeddedNode(options: EmbeddedNodeOptions): Promise<EmbeddedNode> {
  const { settings, identity, listeners, log } = options
  const { shardCount } = identity
  const ports = new Map(listeners.map(({ name }) => [name, new Array<number>(shardCount).fill(0)]))
  const meshes = memoryMeshes(shardCount)
  const disks: Disk[] = []
  const networks: PeerNetwork[] = []
  const start = async (shard: number): Promise<Shard> => {
    const mesh = meshes[shard]
    if (mesh === undefined) throw new Error(`no mesh for shard ${shard}`)
    const storage = await openStorage(options, shard)
    if (typeof options.storage === 'string') disks.push(storage.disk)
    const peers = options.openPeers(brokerIdOf(identity.nodeId, shard), shard)
    networks.push(peers)
    return startShard({
      ...storage,
      settings,
      identity,
      node: options.node,
      mesh,
      peers,
      randomBytes,
      random: bound => randomInt(bound),
      remember: nodes => {
        if (typeof options.storage === 'string') saveMembership(options.storage, { ...identity, nodes })
      },
      listeners: listeners.map(listener => shardListener(settings, listener, shard, ports.get(listener.name)?.[0])),
      advertising: planAdvertising(settings, ''),
      ports: name => ports.get(name) ?? [],
      onListening: (name, port) => {
        const known = ports.get(name)
        if (known !== undefined) known[shard] = port
      },
      clock: options.clock,
      soon: systemScheduler.soon,
      log
    })
  }
  const release = async (): Promise<void> => {
    await Promise.all(networks.map(peers => peers.close()))
    await Promise.all(meshes.map(mesh => mesh.close()))
    await Promise.all(disks.map(disk => disk.close()))
  }
  let shards: readonly [Shard, ...Shard[]]
  try {
    // Shard 0 first: it has the controller, and with node addressing its port is everybody's.
    const first = await start(0)
    shards = [first, ...(await Promise.all(Array.from({ length: shardCount - 1 }, (_, i) => start(i + 1))))]
  } catch (error) {
    await release()
    throw error
  }
  const [bootstrap] = listeners
  const host = bootstrap?.host === '' ? '127.0.0.1' : (bootstrap?.host ?? '')
  return {
    addresses: [...new Set(ports.get(bootstrap?.name ?? '') ?? [])].map(port => `${host}:${port}`),
    operations: shards[0].operations,
    status: () => shards.map(shard => shard.status()),
    stop: async () => {
      await Promise.all(shards.map(shard => shard.stop(DRAIN_MS)))
      await release()
    }
  }
}

async function openStorage(options: EmbeddedNodeOptions, shard: number): Promise<Storage> {
  const { storage, settings, log } = options
  if (typeof storage !== 'string') {
    const memory = storage[shard]
    if (memory === undefined) throw new Error(`no storage for shard ${shard}`)
    return { disk: memory.disk, directory: '/store', openState: () => memory.state.open() }
  }
  const directory = shardFolder(storage, shard)
  const disk = await openShardDisk(settings, directory, log)
  return { disk, directory, openState: () => openLmdbState({ path: join(directory, 'state') }) }
}

function shardListener(
  settings: BrokerSettings,
  { name, host, port }: ListenerAddress,
  shard: number,
  firstPort: number | undefined
): { name: string; host: string; port: number; reusePort: boolean } {
  if (settings.addressing === 'node') return { name, host, port: firstPort || port, reusePort: true }
  return { name, host, port: port === 0 ? 0 : port + shard, reusePort: false }
}
