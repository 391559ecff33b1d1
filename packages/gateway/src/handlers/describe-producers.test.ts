import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProducerView } from '../ports.ts'
import { DESCRIBED_PRODUCERS_MAX } from '../settings.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  served.host.cluster.addTopic('a', 3)
})
afterEach(() => served.stop())

const producer = (producerId: bigint): ProducerView => ({
  producerId,
  producerEpoch: 2,
  lastSequence: 7,
  lastTimestamp: 1_700_000_000_000n
})

const describe = (...topics: [name: string, partitionIndexes: number[]][]) =>
  client.request(apis.describeProducers, 0, {
    topics: topics.map(([name, partitionIndexes]) => ({ name, partitionIndexes }))
  })

test('producers are told per partition, in the order of the question, without transactions', async () => {
  served.host.cluster.partition('a', 1).producers = [producer(5n), producer(6n)]
  expect(await describe(['a', [1, 0, 1]])).toEqual({
    throttleTimeMs: 0,
    topics: [
      {
        name: 'a',
        partitions: [1, 0, 1].map(partitionIndex => ({
          partitionIndex,
          errorCode: 0,
          errorMessage: null,
          activeProducers: (partitionIndex === 0 ? [] : [producer(5n), producer(6n)]).map(each => ({
            ...each,
            coordinatorEpoch: -1,
            currentTxnStartOffset: -1n
          }))
        }))
      }
    ]
  })
})

test('each partition is refused for itself', async () => {
  served.host.cluster.partition('a', 2).role = 'follower'
  const { topics } = await describe(['nope', [0]], ['a/b', [0]], ['a', [9, -1, 2, 0]])
  const codes = topics.flatMap(({ partitions }) => partitions.map(each => each.errorCode))
  const unknown = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
  const moved = errorCode('NOT_LEADER_OR_FOLLOWER')
  expect(codes).toEqual([unknown, errorCode('INVALID_TOPIC_EXCEPTION'), unknown, unknown, moved, 0])
})

test('an answer is bounded: what would go beyond is refused, the rest is told', async () => {
  const many = Array.from({ length: DESCRIBED_PRODUCERS_MAX - 1 }, (_, i) => producer(BigInt(i)))
  served.host.cluster.partition('a', 0).producers = many
  served.host.cluster.partition('a', 1).producers = [producer(1n), producer(2n)]
  served.host.cluster.partition('a', 2).producers = [producer(3n)]
  const { topics } = await describe(['a', [0, 1, 2]])
  const told = topics[0]?.partitions.map(each => [each.errorCode, each.activeProducers.length])
  expect(told).toEqual([
    [0, many.length],
    [errorCode('POLICY_VIOLATION'), 0],
    [0, 1]
  ])
})
