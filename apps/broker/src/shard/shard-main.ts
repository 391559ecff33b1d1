/**
 * Entry of a shard's process. The supervisor says which shard this is; the rest is `startShard` with the real world plugged
 * in: the mesh over sockets, a disk, the system's clock.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { openGrpcPeerNetwork, runShard, type PeerNetwork } from '@milena/shard-scheduler'
import { openLmdbState } from '@milena/storage-engine'
import type { Logger } from 'pino'
import { answerShardRequest, type FromShardMessage, type ToShardMessage } from '../admin/shard-requests.ts'
import type { OperationName } from '../cluster/operations.ts'
import { peersAlone } from '../cluster/peers/peers-alone.ts'
import type { Advertising } from '../cluster/view/addresses.ts'
import { brokerIdOf, type Endpoint, type NodeDescription } from '../controller/metadata/cluster-state.ts'
import { createLogger } from '../logging.ts'
import { readIdentity, saveMembership, shardFolder, type NodeIdentity } from '../node/data-folder.ts'
import { shardListeners } from '../node/node-plan.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { ListenerAddress } from '../settings/listener.ts'
import { systemClock, systemScheduler } from '../system-clock.ts'
import { openShardDisk } from './shard-disk.ts'
import { startShard } from './start-shard.ts'

/** What the supervisor tells every shard of a node. */
export interface ShardConfig {
  readonly settings: BrokerSettings
  readonly identity: NodeIdentity
  /** This node as it is now. */
  readonly node: NodeDescription
  /** Where shard 0 listens for other nodes, shard i on port + i; undefined on a node that is alone. */
  readonly rpc: Endpoint | undefined
  readonly dataFolder: string
  readonly listeners: readonly ListenerAddress[]
  readonly advertising: Advertising
}

/** Of the time a drain may take, what is left for the store to close. */
const STORE_CLOSE_SHARE = 0.5

await runShard<ShardConfig>(async ({ shard, config, mesh, cpu, stallDetector, send, onMessage }) => {
  const { settings, dataFolder, listeners } = config
  // A shard that is started again finds the cluster by what was written down since.
  const nodes = readIdentity(dataFolder)?.membership?.nodes ?? config.identity.nodes
  const identity = { ...config.identity, nodes }
  const log = createLogger(settings['log.level'], { shard })
  stallDetector.watch(settings['stall.threshold.ms'], stall => log.warn(stall, 'event loop stalled'))
  const directory = shardFolder(dataFolder, shard)
  const disk = await openShardDisk(settings, directory, log)
  const peers = await openPeers(config, shard, log)
  const running = await startShard({
    settings,
    identity,
    node: config.node,
    mesh,
    peers,
    disk,
    directory,
    openState: () => openLmdbState({ path: join(directory, 'state') }),
    randomBytes,
    random: bound => randomInt(bound),
    remember: nodes => void saveMembership(dataFolder, { ...identity, nodes }),
    listeners: shardListeners(settings, listeners, shard),
    advertising: config.advertising,
    ports: name => portsOf(listeners, name, mesh.shardCount),
    onListening: () => undefined,
    clock: systemClock,
    soon: systemScheduler.soon,
    log
  })
  running.serving.then(
    () => send({ kind: 'serving' } satisfies FromShardMessage),
    (error: unknown) => {
      // It waited in the background and was refused: the process ends, and the next one says so at its start.
      setImmediate(() => {
        throw error
      })
    }
  )
  onMessage(message => {
    const run = (name: OperationName, request: object): Promise<object> => running.operations.run(name, request)
    void answerShardRequest(message as ToShardMessage, run).then(send)
  })
  // Node writes its compile cache when a process exits; one that is killed would leave the next start to compile again.
  systemScheduler.soon(() => flushCompileCache())
  return {
    drain: async deadlineMs => {
      await running.stop(deadlineMs * STORE_CLOSE_SHARE)
      await peers.close()
      await disk.close()
    },
    status: () => ({ ...running.status(), cpu })
  }
})

/** Listens for other nodes; a node that is alone has no code of it. */
function openPeers({ identity, rpc }: ShardConfig, shard: number, log: Logger): PeerNetwork | Promise<PeerNetwork> {
  const self = brokerIdOf(identity.nodeId, shard)
  if (rpc === undefined) return peersAlone(self)
  return openGrpcPeerNetwork({ self, listen: { host: rpc.host, port: rpc.port + shard }, log })
}

/** Ports of all shards on a listener: consecutive from the configured one. */
function portsOf(listeners: readonly ListenerAddress[], name: string, shardCount: number): number[] {
  const base = listeners.find(listener => listener.name === name)?.port ?? 0
  return Array.from({ length: shardCount }, (_, shard) => base + shard)
}
