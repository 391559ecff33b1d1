import { MemoryStoreHost } from '@milena/storage-engine/testing'
import { describe, expect, it } from 'vitest'
import { apply } from '../controller/metadata/apply.ts'
import { emptyState, type ClusterState } from '../controller/metadata/cluster-state.ts'
import type { Command } from '../controller/metadata/commands.ts'
import type { ReplicaHost } from '../replication/contract.ts'
import { logOptions } from '../replication/testing/memory-cluster.ts'
import { parseBrokerSettings } from '../settings/parse.ts'
import { batchFormat } from './batch-format.ts'
import { logName, PartitionTable } from './partition-table.ts'

const HERE = 1001
const wanted = { name: 'orders', topicId: 'AAAAAAAAAAAAAAAAAAAAAA' }
const deleted = { name: 'orders', topicId: 'BBBBBBBBBBBBBBBBBBBBBB' }
const elsewhere = { name: 'bills', topicId: 'CCCCCCCCCCCCCCCCCCCCCC' }

const topic = ({ name, topicId }: typeof wanted, replicas: number[]) => ({
  name,
  topicId,
  partitions: [{ replicas, bootstrapReplicas: replicas }],
  configs: {}
})
const create: Command = {
  type: 'create-topics',
  version: 1,
  topics: [topic(wanted, [HERE, 1]), topic(elsewhere, [1, 2001])]
}

/** A table over a store with a log of each topic, and the names that it removes. */
async function setUp(state: ClusterState): Promise<{ table: PartitionTable; removed: string[] }> {
  const store = await new MemoryStoreHost({ format: batchFormat }).open()
  const names = [wanted, deleted, elsewhere].map(one => logName(one, 0))
  await store.createLogs([...names, '__controller'].map(name => ({ name, options: logOptions })))
  const removed: string[] = []
  const host = {
    open: () => new Promise(() => undefined),
    remove: (gone: readonly string[]) => {
      removed.push(...gone)
      return Promise.resolve()
    },
    settled: () => Promise.resolve()
  } as unknown as ReplicaHost
  const table = new PartitionTable({
    brokerId: HERE,
    settings: parseBrokerSettings(new Map()),
    now: () => 0,
    clock: { monotonic: () => 0, after: () => () => undefined },
    state: () => state,
    remote: () => undefined,
    leaders: { announce: () => undefined, resign: () => undefined, forget: () => undefined },
    finishReassignment: () => Promise.resolve(),
    metadataRevision: () => Promise.resolve(0),
    deleteRecords: () => Promise.resolve(false),
    rackOf: undefined
  })
  table.attach(store, host)
  return { table, removed }
}

describe('Logs that belong to no partition placed on a shard', () => {
  it('are removed: of topics that are deleted, or placed elsewhere by now', async () => {
    const { table, removed } = await setUp(apply(emptyState, create).state)
    await table.removeOrphans()
    expect(removed.sort()).toEqual([logName(deleted, 0), logName(elsewhere, 0)].sort())
  })

  it('are not those of partitions that are only being opened', async () => {
    const state = apply(emptyState, create).state
    const { table, removed } = await setUp(state)
    void table.reconcile(state, emptyState)
    expect(table.partitionCount).toBe(0)
    await table.removeOrphans()
    expect(removed).not.toContain(logName(wanted, 0))
  })
})
