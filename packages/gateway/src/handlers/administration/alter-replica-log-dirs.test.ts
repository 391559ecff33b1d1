import { apis, errorName, type ErrorName } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  served.host.cluster.addTopic('a', 4)
  const healthy = (path: string, partition: number) => {
    const replicas = [{ topic: 'a', partition, sizeBytes: 1, offsetLag: 0 }]
    return { kind: 'healthy', path, totalBytes: -1, usableBytes: -1, replicas } as const
  }
  const broken = { kind: 'refused', path: '/broken', error: 'KAFKA_STORAGE_ERROR' } as const
  served.host.logDirs.logDirs = [healthy('/shard-0', 0), healthy('/shard-1', 1), broken]
})
afterEach(() => served.stop())

type Asked = [path: string, topic: string, ...partitions: number[]]

async function move(version: number, ...asked: Asked[]): Promise<[string, ...[number, ErrorName][]][]> {
  const dirs = asked.map(([path, name, ...partitions]) => ({ path, topics: [{ name, partitions }] }))
  const { results } = await client.request(apis.alterReplicaLogDirs, version, { dirs })
  return results.map(({ topicName, partitions }) => [
    topicName,
    ...partitions.map(({ partitionIndex, errorCode }): [number, ErrorName] => [partitionIndex, errorName(errorCode)])
  ])
}

test('a replica that is where it shall be is moved at once, in every version', async () => {
  for (const version of [1, 2]) {
    expect(await move(version, ['/shard-0', 'a', 0], ['/shard-1', 'a', 1])).toEqual([['a', [0, 'NONE'], [1, 'NONE']]])
  }
  expect(await move(2)).toEqual([])
})

test('there is no other folder for it', async () => {
  for (const path of ['/elsewhere', 'shard-0', '/shard-0/', '/shard-1', '']) {
    expect(await move(2, [path, 'a', 0])).toEqual([['a', [0, 'LOG_DIR_NOT_FOUND']]])
  }
  expect(await move(2, ['/broken', 'a', 0])).toEqual([['a', [0, 'KAFKA_STORAGE_ERROR']]])
})

test('partitions that are elsewhere, or nowhere, are told apart', async () => {
  expect(await move(2, ['/shard-0', 'a', 3, 7, -1], ['/shard-0', 'nope', 0], ['/elsewhere', 'nope', 1])).toEqual([
    ['a', [3, 'NOT_LEADER_OR_FOLLOWER'], [7, 'UNKNOWN_TOPIC_OR_PARTITION'], [-1, 'UNKNOWN_TOPIC_OR_PARTITION']],
    ['nope', [0, 'UNKNOWN_TOPIC_OR_PARTITION'], [1, 'LOG_DIR_NOT_FOUND']]
  ])
})

test('a partition that is named twice goes where it was named last', async () => {
  expect(await move(2, ['/shard-0', 'a', 0], ['/elsewhere', 'a', 0])).toEqual([['a', [0, 'LOG_DIR_NOT_FOUND']]])
})
