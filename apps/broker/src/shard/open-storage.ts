/** A shard's store and the Raft groups in it. */
import { openStore, type Disk, type LogFold, type LogStore, type StateBackend } from '@milena/storage-engine'
import type { PeerNetwork } from '@milena/shard-scheduler'
import type { Logger } from 'pino'
import { batchFormat } from '../partitions/batch-format.ts'
import type { CatchUpThrottle } from '../replication/catch-up-throttle.ts'
import type { ReplicaHost } from '../replication/contract.ts'
import { openReplicaHost } from '../replication/host/host.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import type { BrokerClock } from '../system-clock.ts'

export interface StorageOptions {
  readonly brokerId: number
  readonly settings: BrokerSettings
  readonly disk: Disk
  readonly directory: string
  readonly openState: () => Promise<StateBackend>
  readonly peers: PeerNetwork
  readonly randomBytes: (count: number) => Uint8Array
  readonly random: (bound: number) => number
  /** The fold of a log that is recovered. */
  readonly foldOf: (logName: string) => LogFold | undefined
  /** Nothing will become durable any more. */
  readonly onFailed: () => void
  /** Rates for replicas that catch up. */
  readonly throttle: CatchUpThrottle
  readonly clock: BrokerClock
  readonly soon: (callback: () => void) => void
  readonly log: Logger
}

export interface ShardStorage {
  readonly store: LogStore
  readonly replicas: ReplicaHost
}

/** Recovers the store. Rejects when it cannot be opened. */
export async function openStorage(options: StorageOptions): Promise<ShardStorage> {
  const { settings, clock, log } = options
  const startedMs = clock.monotonic()
  let replicas: ReplicaHost | undefined
  const store = await openStore({
    disk: options.disk,
    directory: options.directory,
    openState: options.openState,
    format: batchFormat,
    clock,
    scheduler: { soon: options.soon },
    newIdentity: () => options.randomBytes(16),
    settings: { memoryBytes: settings['store.memory.bytes'], journalBytes: settings['journal.bytes'] },
    folds: options.foldOf,
    onFlushed: logs => replicas?.flushed(logs),
    onFailed: cause => {
      log.error(
        { err: cause },
        'the disk failed: this shard acknowledges nothing from now on; reads of durable data go on'
      )
      replicas?.storeFailed()
      options.onFailed()
    },
    log
  })
  for (const range of store.status().damage) log.error({ ...range }, 'damaged range: reads of it are refused')
  log.info(
    { logs: store.logs.size, tookMs: Math.round(clock.monotonic() - startedMs), disk: options.disk.kind },
    'store recovered'
  )
  replicas = await openReplicaHost({
    brokerId: options.brokerId,
    store,
    network: options.peers,
    scheduler: { now: clock.monotonic, nextTurn: options.soon, after: clock.after },
    random: options.random,
    log,
    throttle: options.throttle,
    lagMsMax: settings['replica.lag.time.max.ms']
  })
  return { store, replicas }
}
