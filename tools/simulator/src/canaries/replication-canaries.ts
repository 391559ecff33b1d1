/** Bugs planted at the replication level: between a process and its disk, its state store, or the store that it built on them. */
import { batchFormat } from '@milena/broker/testing'
import type { Log, LogStore } from '@milena/storage-engine'
import { runReplication, type ReplicationPlant } from '../replication/replication-simulation.ts'
import type { Canary } from './canary.ts'

const plants: readonly (ReplicationPlant & { readonly name: string; readonly bug: string })[] = [
  {
    name: 'journal-not-durable',
    bug: 'files that should be written through the cache of the device are not',
    wrapDisk: disk => overridden(disk, { open: (path, options) => disk.open(path, { ...options, durable: false }) })
  },
  {
    name: 'directories-not-synced',
    bug: 'names of new files are never made durable',
    wrapDisk: disk => overridden(disk, { syncDirectory: () => Promise.resolve() })
  },
  {
    name: 'state-not-durable',
    bug: 'puts to the state store resolve before they are durable',
    openState: async device => {
      const backend = await device.open()
      return {
        ...backend,
        commit: changes => {
          void backend.commit(changes)
          return Promise.resolve()
        }
      }
    }
  },
  {
    name: 'flushed-is-appended',
    bug: 'what was handed to the store counts as durable at once',
    wrapStore: store => withLogs(store, log => overridden(log, {}, { flushedOffset: () => log.endOffset }))
  },
  {
    name: 'state-loss-ignored',
    bug: 'a shard whose votes are gone goes on as if it had given none',
    wrapStore: store => overridden(store, { status: () => ({ ...store.status(), stateLost: false }) }),
    trustsNewDisks: true
  },
  {
    name: 'scrub-skips-checksums',
    bug: 'the scrub passes over logs without looking at what it reads',
    wrapStore: store =>
      withLogs(store, log =>
        overridden(log, {
          verify: () => Promise.resolve({ nextOffset: log.flushedOffset, atEnd: true, byteCount: 0, damage: [] })
        })
      )
  },
  {
    name: 'checksums-not-verified',
    bug: 'what comes from a disk is believed whatever its checksum says',
    format: { ...batchFormat, isIntact: () => true }
  },
  {
    name: 'scrub-tells-nobody',
    bug: 'what the scrub finds stays as it is',
    scrubbed: () => new Map()
  }
]

export const replicationCanaries: readonly Canary[] = plants.map(({ name, bug, ...plant }) => ({
  name,
  bug,
  level: 'replication',
  run: (seed, seconds) => runReplication({ seed, seconds, plant })
}))

/** `target` with some methods and getters replaced; everything else goes through. */
export function overridden<Target extends object>(
  target: Target,
  methods: Partial<Target>,
  getters: Partial<Record<keyof Target, () => unknown>> = {}
): Target {
  return new Proxy(target, {
    get(original, name) {
      const getter = Reflect.get(getters, name) as (() => unknown) | undefined
      if (getter !== undefined) return getter()
      if (Object.hasOwn(methods, name)) return Reflect.get(methods, name) as unknown
      const own: unknown = Reflect.get(original, name, original)
      return typeof own === 'function' ? (own as (...inputs: unknown[]) => unknown).bind(original) : own
    },
    set: (original, name, value) => Reflect.set(original, name, value, original)
  })
}

/** A store whose logs are wrapped, each always by the same wrapper. */
function withLogs(store: LogStore, wrap: (log: Log) => Log): LogStore {
  const wrapped = new Map<Log, Log>()
  const wrapperOf = (log: Log): Log => {
    let wrapper = wrapped.get(log)
    if (wrapper === undefined) wrapped.set(log, (wrapper = wrap(log)))
    return wrapper
  }
  return overridden(
    store,
    { createLogs: async requests => (await store.createLogs(requests)).map(wrapperOf) },
    { logs: () => new Map([...store.logs].map(([name, log]) => [name, wrapperOf(log)])) }
  )
}
