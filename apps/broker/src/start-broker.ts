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
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { memoryMeshes } from '@milena/shard-scheduler'
import { MemoryDisk, MemoryStateDevice, openLmdbState, type Disk, type StateBackend } from '@milena/storage-engine'
import type { Logger } from 'pino'
import { claimDataFolder, newIdentity, shardFolder } from './data-folder.ts'
import { createLogger } from './logging.ts'
import { planAdvertising, planListeners } from './node-plan.ts'
import { openShardDisk } from './shard-disk.ts'
import { startShard, type Shard, type ShardStatus } from './shard.ts'
import type { BrokerSettings, BrokerSettingName } from './settings/broker-settings.ts'
import { parseBrokerSettings } from './settings/parse.ts'
import { systemClock, systemScheduler, type BrokerClock } from './system-clock.ts'

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
const DRAIN_MS = 2_000

/** Starts a broker. Resolves when clients can use it; rejects with a SettingsError for settings that cannot be. */
export async function startBroker(options: StartBrokerOptions = {}): Promise<EmbeddedBroker> {
  const shardCount = options.shardCount ?? 1
  const settings = parseBrokerSettings(
    new Map(
      Object.entries({
        listeners: 'PLAINTEXT://127.0.0.1:0',
        'log.level': 'warn',
        'store.memory.bytes': String(STORE_MEMORY_BYTES),
        'journal.bytes': String(JOURNAL_BYTES),
        ...options.settings
      })
    )
  )
  const listeners = planListeners(settings, shardCount)
  const { dataFolder } = options
  const identity =
    dataFolder === undefined
      ? newIdentity(settings['node.id'], shardCount)
      : claimDataFolder(dataFolder, { nodeId: settings['node.id'], shardCount })
  const ports = new Map(listeners.map(({ name }) => [name, new Array<number>(shardCount).fill(0)]))
  const world: World = {
    settings,
    clock: options.clock ?? systemClock,
    log: options.log ?? createLogger(settings['log.level'], {}),
    dataFolder,
    disks: []
  }
  const meshes = memoryMeshes(shardCount)
  const start = async (shard: number): Promise<Shard> => {
    const mesh = meshes[shard]
    if (mesh === undefined) throw new Error(`no mesh for shard ${shard}`)
    return startShard({
      ...(await openStorage(world, shard)),
      settings,
      identity,
      mesh,
      randomBytes,
      listeners: listeners.map(({ name, host, port }) =>
        embeddedListener(settings, name, host, port, shard, ports.get(name)?.[0])
      ),
      advertising: planAdvertising(settings, ''),
      ports: name => ports.get(name) ?? [],
      onListening: (name, port) => {
        const known = ports.get(name)
        if (known !== undefined) known[shard] = port
      },
      clock: world.clock,
      soon: systemScheduler.soon,
      log: world.log
    })
  }
  // Shard 0 first: it runs the controller, and with node addressing its port is everybody's.
  const first = await start(0)
  const others = await Promise.all(Array.from({ length: shardCount - 1 }, (_, i) => start(i + 1)))
  const shards = [first, ...others]
  const [bootstrap] = listeners
  const seeds = new Set(ports.get(bootstrap?.name ?? '') ?? [])
  return {
    bootstrapServers: [...seeds]
      .map(port => `${bootstrap?.host === '' ? '127.0.0.1' : bootstrap?.host}:${port}`)
      .join(','),
    clusterId: identity.clusterId,
    status: () => shards.map(shard => shard.status()),
    stop: async () => {
      await Promise.all(shards.map(shard => shard.stop(DRAIN_MS)))
      await Promise.all(meshes.map(mesh => mesh.close()))
      await Promise.all(world.disks.map(disk => disk.close()))
    }
  }
}

interface World {
  readonly settings: BrokerSettings
  readonly clock: BrokerClock
  readonly log: Logger
  readonly dataFolder: string | undefined
  readonly disks: Disk[]
}

interface Storage {
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
}

async function openStorage(world: World, shard: number): Promise<Storage> {
  if (world.dataFolder === undefined) {
    const disk = new MemoryDisk()
    world.disks.push(disk)
    const state = new MemoryStateDevice()
    return { disk, directory: '/store', openState: () => state.open() }
  }
  const directory = shardFolder(world.dataFolder, shard)
  const disk = await openShardDisk(world.settings, directory, world.log)
  world.disks.push(disk)
  return { disk, directory, openState: () => openLmdbState({ path: join(directory, 'state') }) }
}

function embeddedListener(
  settings: BrokerSettings,
  name: string,
  host: string,
  port: number,
  shard: number,
  firstPort: number | undefined
): { name: string; host: string; port: number; reusePort: boolean } {
  if (settings.addressing === 'node') return { name, host, port: firstPort || port, reusePort: true }
  return { name, host, port: port === 0 ? 0 : port + shard, reusePort: false }
}
