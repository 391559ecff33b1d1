/**
 * A shard's process: `openShard`, all production code, behind a gateway without sockets. What differs from a pinned process are
 * the ports: time, disk, state store, mesh, peer network, chance.
 *
 * A shard whose store failed serves reads until somebody restarts it; here somebody does.
 */
import {
  brokerIdOf,
  gatewaySettings,
  openShard,
  planAdvertising,
  type OpenShard,
  type ShardOptions
} from '@milena/broker/testing'
import { SocketlessGateway } from '@milena/gateway/testing'
import type { Machine, MachineParts } from '../machine/machine.ts'
import type { ProcessTime } from '../machine/process-time.ts'
import type { ClusterNode } from './cluster-node.ts'
import { CLIENT_PORT, loggerOf, RPC_PORT } from './cluster-site.ts'
import { diskOfNode } from './node-disk.ts'
import { randomBytesOf } from './random-ids.ts'

/** How often an operator looks whether a store failed, ms. */
const LOOK_MS = 1000

export interface ShardProcess {
  readonly node: ClusterNode
  readonly shard: number
  readonly brokerId: number
  readonly time: ProcessTime
  readonly open: OpenShard
  readonly gateway: SocketlessGateway
  /** It answers clients. */
  serves: boolean
  /** Clients that wait for an answer; told when the process ends. */
  readonly clients: Set<(told: boolean) => void>
  /** In good order: hands over leadership, closes. */
  stop(drainMs: number): Promise<void>
}

/** Boots shard `shard` of `node`. */
export async function bootShard(
  node: ClusterNode,
  machine: Machine<ShardProcess>,
  shard: number,
  { time, disk, state, random }: MachineParts
): Promise<ShardProcess> {
  const { site, identity } = node
  const { settings } = site
  const brokerId = brokerIdOf(identity.nodeId, shard)
  const mesh = node.meshes.start(shard, time)
  const listen = { host: node.name, port: RPC_PORT + shard }
  const peers = site.network.open({ self: brokerId, listen, scheduler: time })
  const soon = (task: () => void): void => time.nextTurn(task)
  const { wrapShard, wrapOpen } = site.plant
  const options: ShardOptions = {
    settings,
    identity,
    node: node.description,
    mesh,
    peers,
    disk: diskOfNode(disk, () => node.disks),
    directory: '/store',
    openState: () => state.open(),
    randomBytes: count => randomBytesOf(random, count),
    random: bound => random.below(bound),
    remember: nodes => {
      if (!time.hasEnded) node.remember(nodes)
    },
    advertising: planAdvertising(settings, ''),
    ports: () => node.shards.map((_, other) => CLIENT_PORT + other),
    clock: time.clock,
    soon,
    log: loggerOf(site.world, machine.name)
  }
  const opened = await openShard(wrapShard?.(options) ?? options)
  const open = wrapOpen?.(opened) ?? opened
  const gateway = new SocketlessGateway({ host: open.host, settings: gatewaySettings(settings), soon })
  const process: ShardProcess = {
    node,
    shard,
    brokerId,
    time,
    open,
    gateway,
    serves: false,
    clients: new Set(),
    stop: async drainMs => {
      process.serves = false
      await open.drainLeadership(drainMs)
      await open.close()
    }
  }
  open.confirmed.then(
    () => {
      process.serves = true
      site.world.trace.note('serves', machine.number)
      if (site.world.trace.printing) site.world.trace.line(machine.name, 'serves', '')
    },
    (error: unknown) => {
      // A store that failed before the shard served ends the process like one that fails later (`watchStore`).
      if (!time.hasEnded && open.store.failure === undefined) site.dismissed(node, error)
    }
  )
  watchStore(process, machine)
  return process
}

function watchStore({ time, open }: ShardProcess, machine: Machine<ShardProcess>): void {
  time.after(LOOK_MS, () => {
    const { failure } = open.store
    if (failure === undefined) watchStore({ time, open } as ShardProcess, machine)
    else machine.exit(`its store failed: ${failure.message}`)
  })
}
