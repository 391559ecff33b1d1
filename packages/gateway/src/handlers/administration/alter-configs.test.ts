import { apis, errorCode, type ErrorName } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConfigAlteration } from '../../ports.ts'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const TOPIC = 2
const BROKER = 4
const BROKER_LOGGER = 8
const CLIENT_METRICS = 16
const GROUP = 32
const SET = 0
const DELETE = 1
const APPEND = 2
const SUBTRACT = 3

type Operation = [name: string, operation: number, value: string | null]
interface Resource {
  readonly resourceType: number
  readonly resourceName: string
  readonly configs: { name: string; configOperation: number; value: string | null }[]
}

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
})
afterEach(() => served.stop())

const resource = (resourceType: number, resourceName: string, ...operations: Operation[]): Resource => ({
  resourceType,
  resourceName,
  configs: operations.map(([name, configOperation, value]) => ({ name, configOperation, value }))
})

/** Error and message of each resource. */
async function alter(resources: Resource[], validateOnly = false): Promise<[number, string | null][]> {
  const { responses } = await client.request(apis.incrementalAlterConfigs, 1, { resources, validateOnly })
  expect(responses.map(one => [one.resourceType, one.resourceName])).toEqual(
    resources.map(one => [one.resourceType, one.resourceName])
  )
  return responses.map(one => [one.errorCode, one.errorMessage])
}

/** The only change that the host was asked for. */
function asked(): readonly ConfigAlteration[] {
  expect(served.host.configs.alterations).toHaveLength(1)
  return served.host.configs.alterations[0]?.alterations ?? []
}

const refusal = (error: ErrorName, message: string): [number, string] => [errorCode(error), message]

test('every version of IncrementalAlterConfigs hands all four operations to the host', async () => {
  const operations: Operation[] = [
    ['retention.ms', SET, '5'],
    ['segment.ms', DELETE, null],
    ['cleanup.policy', APPEND, 'compact'],
    ['leader.replication.throttled.replicas', SUBTRACT, '0:1']
  ]
  for (const version of [0, 1]) {
    const request = { resources: [resource(TOPIC, 'a', ...operations)], validateOnly: version === 1 }
    const { responses } = await client.request(apis.incrementalAlterConfigs, version, request)
    expect(responses).toMatchObject([{ errorCode: 0, errorMessage: null, resourceType: TOPIC, resourceName: 'a' }])
  }
  const expected = {
    resource: { type: 'topic', name: 'a' },
    mode: 'incremental',
    operations: [
      { kind: 'set', name: 'retention.ms', value: '5' },
      { kind: 'delete', name: 'segment.ms' },
      { kind: 'append', name: 'cleanup.policy', value: 'compact' },
      { kind: 'subtract', name: 'leader.replication.throttled.replicas', value: '0:1' }
    ]
  }
  expect(served.host.configs.alterations).toEqual([
    { alterations: [expected], validateOnly: false },
    { alterations: [expected], validateOnly: true }
  ])
})

test('every version of AlterConfigs replaces, and knows no loggers', async () => {
  for (const version of [0, 1, 2]) {
    const resources = [
      { resourceType: TOPIC, resourceName: 'a', configs: [{ name: 'retention.ms', value: '5' }] },
      { resourceType: BROKER_LOGGER, resourceName: String(served.host.brokerId), configs: [] }
    ]
    const { responses } = await client.request(apis.alterConfigs, version, { resources, validateOnly: false })
    expect(responses.map(one => [one.errorCode, one.errorMessage])).toEqual([
      [0, null],
      refusal('INVALID_REQUEST', 'Unknown resource type 8')
    ])
  }
  expect(served.host.configs.alterations).toHaveLength(3)
  expect(served.host.configs.alterations[2]?.alterations).toEqual([
    {
      resource: { type: 'topic', name: 'a' },
      mode: 'replace',
      operations: [{ kind: 'set', name: 'retention.ms', value: '5' }]
    }
  ])
})

test('resources that cannot be changed are refused as Kafka does, and the host is asked for the others', async () => {
  const { brokerId } = served.host
  const cases: [Resource, [number, string | null]][] = [
    [resource(TOPIC, 'a', ['x', SET, '1']), [0, null]],
    [resource(TOPIC, 'twice'), refusal('INVALID_REQUEST', 'Each resource must appear at most once.')],
    [resource(TOPIC, ''), refusal('INVALID_REQUEST', 'Default topic resources are not allowed.')],
    [
      resource(TOPIC, 'a/b'),
      refusal(
        'INVALID_TOPIC_EXCEPTION',
        "Topic name is invalid: it contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
      )
    ],
    [
      resource(TOPIC, 'b', ['x', SET, '1'], ['x', DELETE, null]),
      refusal('INVALID_REQUEST', 'Error due to duplicate config keys')
    ],
    [
      resource(TOPIC, 'c', ['x', SET, null], ['y', APPEND, null], ['z', DELETE, null]),
      refusal('INVALID_REQUEST', 'Null value not supported for : x, y')
    ],
    [resource(TOPIC, 'd', ['x', 4, '1']), refusal('INVALID_REQUEST', 'Unknown operation for config key: x')],
    [resource(TOPIC, 'e', ['x', -1, '1']), refusal('INVALID_REQUEST', 'Unknown operation for config key: x')],
    [resource(BROKER, '', ['y', SET, '1']), [0, null]],
    [resource(BROKER, `+${brokerId}`, ['z', SET, '1']), [0, null]],
    [resource(BROKER, '99'), refusal('INVALID_REQUEST', `Unexpected broker id, expected ${brokerId}, but received 99`)],
    [resource(BROKER, 'abc'), refusal('INVALID_REQUEST', 'Node id must be an integer, but it is: abc')],
    [
      resource(BROKER_LOGGER, '99'),
      refusal('INVALID_REQUEST', `Unexpected node id. Expected ${brokerId}, but received 99`)
    ],
    [resource(BROKER_LOGGER, ''), refusal('INVALID_REQUEST', 'Node id must be an integer, but it is: ')],
    [resource(CLIENT_METRICS, ''), refusal('INVALID_REQUEST', "Subscription name can't be empty")],
    [resource(GROUP, ''), refusal('INVALID_REQUEST', 'Default group resources are not allowed.')],
    [resource(GROUP, 'g', ['x', SET, '1']), [0, null]],
    [resource(3, 'a'), refusal('INVALID_REQUEST', 'Unknown resource type 3')],
    [resource(-1, 'a'), refusal('INVALID_REQUEST', 'Unknown resource type -1')],
    [resource(TOPIC, 'twice', ['x', SET, '1']), refusal('INVALID_REQUEST', 'Each resource must appear at most once.')]
  ]
  expect(await alter(cases.map(([one]) => one))).toEqual(cases.map(([, expected]) => expected))
  expect(asked().map(one => one.resource)).toEqual([
    { type: 'topic', name: 'a' },
    { type: 'broker', name: '' },
    { type: 'broker', name: String(brokerId) },
    { type: 'group', name: 'g' }
  ])
})

test('the same name in two types is two resources', async () => {
  const name = String(served.host.brokerId)
  expect(await alter([resource(TOPIC, name), resource(BROKER, name)])).toEqual([
    [0, null],
    [0, null]
  ])
})

test('a refusal of the host is told with its words, or with those of the error', async () => {
  served.host.configs.refusal = { kind: 'refused', error: 'INVALID_CONFIG', message: 'no such thing here' }
  expect(await alter([resource(TOPIC, 'a', ['x', SET, '1'])])).toEqual([
    refusal('INVALID_CONFIG', 'no such thing here')
  ])
  served.host.configs.refusal = { kind: 'refused', error: 'REQUEST_TIMED_OUT', message: null }
  expect(await alter([resource(TOPIC, 'a', ['x', SET, '1'])])).toEqual([
    refusal('REQUEST_TIMED_OUT', 'The work was not done within the requested time')
  ])
})

test('a request without resources changes nothing', async () => {
  expect(await alter([])).toEqual([])
  expect(served.host.configs.alterations).toEqual([])
})
