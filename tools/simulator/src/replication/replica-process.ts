/**
 * A process with a store and a replica host, wired as a broker's shard wires them, and nothing above: the smallest program that
 * replicates logs. One shard a machine; its broker id is the machine's number times 1000.
 */
import {
  openReplicaHost,
  Scrubber,
  type GroupListener,
  type ReplicaHost,
  type ReplicatedLog
} from '@milena/broker/testing'
import type { MemoryPeerNetwork, PeerAddress, PeerNetwork } from '@milena/shard-scheduler'
import { openStore, type Disk, type EntryFormat, type LogStore, type StateBackend } from '@milena/storage-engine'
import type { MemoryStateDevice } from '@milena/storage-engine/testing'
import type { Machine, MachineParts } from '../machine/machine.ts'
import type { World } from '../world/world.ts'

/** A log that is replicated, as a controller would tell it to brokers. */
export interface GroupPlan {
  readonly name: string
  /** Broker ids; the first one should lead. */
  readonly replicas: readonly number[]
}

export interface ReplicaProcess {
  readonly network: PeerNetwork
  readonly store: LogStore
  readonly host: ReplicaHost
  readonly groups: ReadonlyMap<string, ReplicatedLog>
}

/** What all processes of a simulation share. */
export interface ReplicationSite {
  readonly world: World
  readonly network: MemoryPeerNetwork
  readonly plans: readonly GroupPlan[]
  readonly sizes: Sizes
  readonly addresses: ReadonlyMap<number, PeerAddress>
  /** Machines whose disk is new: their replicas wait to be added instead of voting as if they remembered. */
  readonly newcomers: ReadonlySet<number>
  /** Time from the beginning of one scrub of a shard to that of the next, ms. */
  readonly scrubIntervalMs: number
  listenerOf(machine: Machine<ReplicaProcess>, group: string): GroupListener
  // Where a planted bug may stand between.
  readonly wrapStore: (store: LogStore) => LogStore
  readonly wrapDisk: (disk: Disk) => Disk
  readonly format: EntryFormat
  /** Whom the scrub tells of damage. */
  readonly scrubbed: (groups: ScrubbedGroups) => ScrubbedGroups
  readonly openState: (device: MemoryStateDevice) => Promise<StateBackend>
}

/** Replicas by the names of their logs, as far as the scrub knows them. */
export type ScrubbedGroups = ReadonlyMap<string, Pick<ReplicatedLog, 'noteDamage'>>

/** What clients write, and stores that are small enough for it: segments roll, journals wrap and memory runs out in a minute. */
export interface Sizes {
  /** Bytes of a record's value; each as likely as the others. */
  readonly valueBytes: readonly number[]
  readonly memoryBytes: number
  readonly journalBytes: number
  readonly segmentBytes: number
}

/** A run draws one of them. */
export const sizesToDraw: readonly Sizes[] = [
  { valueBytes: [20, 200, 200], memoryBytes: 1 << 20, journalBytes: 256 << 10, segmentBytes: 32 << 10 },
  { valueBytes: [200, 200, 1000, 4000], memoryBytes: 1 << 20, journalBytes: 512 << 10, segmentBytes: 128 << 10 },
  { valueBytes: [20, 200, 200, 2000, 30_000], memoryBytes: 2 << 20, journalBytes: 1 << 20, segmentBytes: 256 << 10 }
]

const storeSettings = { reserveBytes: 64 << 10, destageIdleMs: 2000, openFilesMax: 16 }

/** Where a machine keeps its store. */
export const STORE_DIRECTORY = '/store'

/** Bytes that the scrub of a shard reads in a second, at most. */
const SCRUB_BYTES_PER_SECOND = 64 << 20

/** How long a process whose store failed lives on: until whoever watches it restarts it. */
const FAILED_MS = 500

export function brokerIdOf(machine: { readonly number: number }): number {
  return machine.number * 1000
}

/** Boots the process of `machine`. */
export async function bootReplicaProcess(
  site: ReplicationSite,
  machine: Machine<ReplicaProcess>,
  { time, disk, state, random }: MachineParts
): Promise<ReplicaProcess> {
  const brokerId = brokerIdOf(machine)
  const network = openNetwork(site, brokerId, machine)
  const { memoryBytes, journalBytes, segmentBytes } = site.sizes
  const options = { segmentBytes, indexIntervalBytes: 4096, segmentMs: Number.MAX_SAFE_INTEGER }
  let host: ReplicaHost | undefined
  let known: LogStore | undefined
  const store = site.wrapStore(
    await openStore({
      disk: site.wrapDisk(disk),
      directory: STORE_DIRECTORY,
      openState: () => site.openState(state),
      format: site.format,
      clock: time.clock,
      scheduler: time.turns,
      newIdentity: () => new Uint8Array(16).map(() => random.below(256)),
      settings: { ...storeSettings, memoryBytes, journalBytes, checkpointBytes: journalBytes },
      onFlushed: logs => {
        // The host knows logs as the store that it was given shows them.
        if (!time.hasEnded) host?.flushed(logs.map(log => known?.logs.get(log.name) ?? log))
      },
      onFailed: cause => {
        host?.storeFailed()
        time.after(FAILED_MS, () => machine.exit(`its store failed: ${cause.message}`))
      },
      log: logOf(site.world, machine)
    })
  )
  known = store
  if (time.hasEnded) throw new Error('it ended while it started')
  host = await openReplicaHost({
    brokerId,
    store,
    network,
    scheduler: time,
    random: bound => random.below(bound),
    log: logOf(site.world, machine)
  })
  const plans = site.plans.filter(({ replicas }) => replicas.includes(brokerId))
  const logs = await host.open(
    plans.map(({ name, replicas }) => ({
      name,
      options,
      bootstrap: site.newcomers.has(machine.number) ? [] : replicas,
      peers: () => replicas,
      ...(replicas[0] !== undefined && { preferredLeader: replicas[0] }),
      listener: site.listenerOf(machine, name)
    }))
  )
  await host.settled()
  new Scrubber({
    store,
    groups: site.scrubbed(host.groups),
    pace: () => ({ bytesPerSecond: SCRUB_BYTES_PER_SECOND, intervalMs: site.scrubIntervalMs }),
    clock: time.clock,
    log: logOf(site.world, machine)
  })
  return { network, store, host, groups: new Map(logs.map(log => [log.name, log])) }
}

function openNetwork(site: ReplicationSite, brokerId: number, machine: Machine<ReplicaProcess>) {
  const listen = site.addresses.get(brokerId)
  const { time } = machine
  if (listen === undefined || time === undefined) throw new Error(`broker ${brokerId} has no address`)
  const network = site.network.open({ self: brokerId, listen, scheduler: time })
  network.joinCluster('simulated')
  network.setPeers(site.addresses)
  return network
}

/** What production code logs becomes a part of the trace. */
function logOf(world: World, machine: { readonly name: string }) {
  const line = (level: string) => (fields: object, message: string) => {
    if (world.trace.printing) world.trace.line(machine.name, `log ${level}`, `${message} ${text(fields)}`)
  }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function text(fields: object): string {
  return JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value))
}
