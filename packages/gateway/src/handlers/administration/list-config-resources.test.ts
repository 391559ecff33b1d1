import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryHost } from '../../testing/memory-host.ts'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const TOPIC = 2
const BROKER = 4
const LOGGER = 8
const CLIENT_METRICS = 16
const GROUP = 32

const neighbours = [
  { id: 2, host: 'near.example', port: 9193, rack: null, fenced: false },
  { id: 3, host: 'down.example', port: 9194, rack: null, fenced: true }
]

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start({}, new MemoryHost({ neighbours }))
  client = await served.connect()
  served.host.cluster.addTopic('a')
  served.host.cluster.addTopic('b')
})
afterEach(() => served.stop())

async function list(...resourceTypes: number[]): Promise<{ error: number; found: (string | number)[][] }> {
  const answer = await client.request(apis.listConfigResources, 1, { resourceTypes })
  const found = answer.configResources.map(({ resourceType, resourceName }) => [resourceType, resourceName])
  return { error: answer.errorCode, found }
}

const topics = [
  [TOPIC, 'a'],
  [TOPIC, 'b']
]
const brokers = (type: number): (string | number)[][] => [
  [type, '1'],
  [type, '2']
]

test('topics and the brokers that take part are listed, all types when none is named', async () => {
  expect(await list()).toEqual({ error: 0, found: [...topics, ...brokers(BROKER), ...brokers(LOGGER)] })
  expect(await list(TOPIC)).toEqual({ error: 0, found: topics })
  expect(await list(BROKER, TOPIC, TOPIC)).toEqual({ error: 0, found: [...topics, ...brokers(BROKER)] })
  expect(await list(GROUP, CLIENT_METRICS)).toEqual({ error: 0, found: [] })
})

test('a type that nobody knows is refused, and with it the rest', async () => {
  for (const type of [0, 1, 64, -1]) {
    expect(await list(TOPIC, type)).toEqual({ error: errorCode('UNSUPPORTED_VERSION'), found: [] })
  }
})

test('version 0 lists client metrics, of which there are none', async () => {
  expect(await client.request(apis.listConfigResources, 0, {})).toMatchObject({ errorCode: 0, configResources: [] })
})
