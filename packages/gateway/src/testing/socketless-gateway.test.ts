import { apis, decodeResponseHeader, encodeRequest, Reader, responseCodec } from '@milena/wire-protocol'
import type { Api, RequestInput, ResponseOf } from '@milena/wire-protocol'
import { expect, test } from 'vitest'
import { ManualClock } from './clocks.ts'
import { MemoryHost } from './memory-host.ts'
import { SocketlessGateway, type SocketlessConnection } from './socketless-gateway.ts'
import { testBatch } from './test-batch.ts'

const dial = { listener: 'PLAINTEXT', localAddress: 'here', localPort: 9092, remoteAddress: 'there' }

async function ask<A extends Api>(
  connection: SocketlessConnection,
  api: A,
  version: number,
  message: RequestInput<A>
): Promise<ResponseOf<A> | null> {
  const frame = Buffer.concat(encodeRequest(api, version, { correlationId: 7, clientId: 'test' }, message))
  const response = await connection.request(frame)
  if (response === null) return null
  const { bodyStart } = decodeResponseHeader(api, version, response, 4, response.length)
  return responseCodec(api, version).decode(new Reader(response, bodyStart))
}

function fetchOf(topicId: string, maxWaitMs: number): RequestInput<typeof apis.fetch> {
  const partitions = [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1000 }]
  return { maxWaitMs, minBytes: 1, maxBytes: 1000, sessionId: 0, sessionEpoch: -1, topics: [{ topicId, partitions }] }
}

test('Handlers answer without sockets, and a fetch that waits is woken in a turn of the host.', async () => {
  const clock = new ManualClock()
  const host = new MemoryHost({ clock })
  const { topicId } = host.cluster.addTopic('events')
  const turns: (() => void)[] = []
  const gateway = new SocketlessGateway({ host, soon: task => void turns.push(task) })
  const connection = gateway.connect(dial)
  const fetched = ask(connection, apis.fetch, 13, fetchOf(topicId, 60_000))
  const topicData = [{ topicId, partitionData: [{ index: 0, records: testBatch() }] }]
  const produced = await ask(connection, apis.produce, 13, { acks: -1, timeoutMs: 1000, topicData })
  expect(produced?.responses[0]?.partitionResponses[0]).toMatchObject({ errorCode: 0, baseOffset: 0n })
  await new Promise(resolve => setImmediate(resolve)) // when this partition tells its watchers
  expect(turns).toHaveLength(1)
  turns.shift()?.()
  const answer = await fetched
  expect(answer?.responses[0]?.partitions[0]?.records?.length).toBeGreaterThan(0)
  expect(gateway.defects).toEqual([])
})

test('A client that goes away ends what it waits for, and nothing stays behind.', async () => {
  const host = new MemoryHost({ clock: new ManualClock() })
  const { topicId } = host.cluster.addTopic('events')
  const gateway = new SocketlessGateway({ host, soon: () => undefined })
  const connection = gateway.connect(dial)
  const fetched = ask(connection, apis.fetch, 13, fetchOf(topicId, 60_000))
  await Promise.resolve()
  expect(gateway.rooms.timers.entryCount).toBe(1)
  connection.close()
  expect(await fetched).toBeNull()
  expect(gateway.rooms.timers.entryCount).toBe(0)
})

test('An unknown version closes the connection, as with sockets.', async () => {
  const gateway = new SocketlessGateway({ host: new MemoryHost({ clock: new ManualClock() }), soon: () => undefined })
  const frame = Buffer.alloc(12)
  frame.writeInt16BE(apis.produce.key, 4)
  frame.writeInt16BE(99, 6)
  expect(await gateway.connect(dial).request(frame)).toBeNull()
})
