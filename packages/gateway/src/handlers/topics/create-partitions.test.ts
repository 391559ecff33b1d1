import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  for (const name of ['a', 'b', 'c']) served.host.cluster.addTopic(name, 2)
})
afterEach(() => served.stop())

const grow = (name: string, count: number): { name: string; count: number; assignments: null } => {
  return { name, count, assignments: null }
}
const countOf = (name: string): number | undefined => served.host.cluster.view().topicByName(name)?.partitions.length

test('every version adds partitions, and says for each topic by itself why not', async () => {
  for (let version = 0; version <= 3; version++) {
    const topics = [grow('a', 3 + version), grow('b', 1), grow('nope', 9)]
    const { results } = await client.request(apis.createPartitions, version, { topics, timeoutMs: 5000 })
    expect(results).toEqual([
      { name: 'a', errorCode: 0, errorMessage: null },
      { name: 'b', errorCode: errorCode('INVALID_PARTITIONS'), errorMessage: 'b has 2 partitions' },
      { name: 'nope', errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), errorMessage: null }
    ])
    expect([countOf('a'), countOf('b')]).toEqual([3 + version, 2])
  }
})

test('validateOnly answers as if, and adds nothing', async () => {
  const topics = [grow('a', 3), grow('b', 2)]
  const { results } = await client.request(apis.createPartitions, 3, { topics, validateOnly: true })
  expect(results.map(result => result.errorCode)).toEqual([0, errorCode('INVALID_PARTITIONS')])
  expect(countOf('a')).toBe(2)
})

test('a topic that is named twice is refused once and does not grow', async () => {
  const topics = [grow('a', 3), grow('b', 3), grow('a', 4), grow('a', 5)]
  const { results } = await client.request(apis.createPartitions, 3, { topics })
  expect(results).toEqual([
    { name: 'a', errorCode: errorCode('INVALID_REQUEST'), errorMessage: 'Duplicate topic name.' },
    { name: 'b', errorCode: 0, errorMessage: null }
  ])
  expect([countOf('a'), countOf('b')]).toEqual([2, 3])
})
