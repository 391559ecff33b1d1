import { apis, errorCode, type ErrorName } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'
import { testBatch } from '../../testing/test-batch.ts'

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  served.host.cluster.addTopic('a', 2)
  const options = { acks: 1, timeoutMs: 1000, apiVersion: 9, transactionalId: null } as const
  await served.host.cluster.partition('a', 0).append(testBatch({ recordCount: 10 }), options)
})
afterEach(() => served.stop())

type Asked = [topic: string, partition: number, offset: bigint]

/** Answers by topic and partition: the low watermark, or the error. */
async function deleteRecords(version: number, ...asked: Asked[]): Promise<Map<string, bigint | ErrorName>> {
  const topics = asked.map(([name, partitionIndex, offset]) => ({ name, partitions: [{ partitionIndex, offset }] }))
  const answer = await client.request(apis.deleteRecords, version, { topics, timeoutMs: 5000 })
  const told = new Map<string, bigint | ErrorName>()
  for (const { name, partitions } of answer.topics) {
    for (const { partitionIndex, lowWatermark, errorCode: code } of partitions) {
      expect(told.has(`${name} ${partitionIndex}`)).toBe(false)
      told.set(`${name} ${partitionIndex}`, code === 0 ? lowWatermark : refusals.get(code)!)
      if (code !== 0) expect(lowWatermark).toBe(-1n)
    }
  }
  return told
}

const refusals = new Map(
  (['OFFSET_OUT_OF_RANGE', 'UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_OR_FOLLOWER'] as const).map(name => [
    errorCode(name),
    name
  ])
)

test('every version deletes up to an offset, or all there is, and tells where the log begins', async () => {
  for (let version = 0; version <= 2; version++) {
    const offset = BigInt(version + 2)
    expect(await deleteRecords(version, ['a', 0, offset], ['a', 1, -1n])).toEqual(
      new Map([
        ['a 0', offset],
        ['a 1', 0n]
      ])
    )
  }
  expect(await deleteRecords(2, ['a', 0, 1n])).toEqual(new Map([['a 0', 4n]]))
  expect(await deleteRecords(2, ['a', 0, -1n])).toEqual(new Map([['a 0', 10n]]))
  expect(served.host.cluster.partition('a', 0).deletions.at(-1)).toEqual({ offset: -1, timeoutMs: 5000 })
})

test('each partition is refused for itself', async () => {
  served.host.cluster.partition('a', 1).role = 'follower'
  const told = await deleteRecords(2, ['nope', 0, 1n], ['a', 7, 1n], ['a', -1, 1n], ['a', 1, 0n], ['a', 0, 5n])
  expect(Object.fromEntries(told)).toEqual({
    'nope 0': 'UNKNOWN_TOPIC_OR_PARTITION',
    'a 7': 'UNKNOWN_TOPIC_OR_PARTITION',
    'a -1': 'UNKNOWN_TOPIC_OR_PARTITION',
    'a 1': 'NOT_LEADER_OR_FOLLOWER',
    'a 0': 5n
  })
  expect(await deleteRecords(2, ['a', 0, 11n])).toEqual(new Map([['a 0', 'OFFSET_OUT_OF_RANGE']]))
  expect(await deleteRecords(2, ['a', 0, -2n])).toEqual(new Map([['a 0', 'OFFSET_OUT_OF_RANGE']]))
})

test('a partition that is named twice is asked once, as it was named last', async () => {
  expect(await deleteRecords(2, ['a', 0, 9n], ['a', 0, 3n])).toEqual(new Map([['a 0', 3n]]))
  expect(served.host.cluster.partition('a', 0).deletions).toHaveLength(1)
})

test('a client that gives no time gives enough for the disk', async () => {
  for (const timeoutMs of [-1, 0, 5000]) {
    const topics = [{ name: 'a', partitions: [{ partitionIndex: 0, offset: 1n }] }]
    await client.request(apis.deleteRecords, 2, { topics, timeoutMs })
  }
  expect(served.host.cluster.partition('a', 0).deletions.map(each => each.timeoutMs)).toEqual([1000, 1000, 5000])
})
