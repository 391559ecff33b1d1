import { apis, errorCode, type ErrorName } from '@milena/wire-protocol'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ConfigDescription } from '../../ports.ts'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const TOPIC = 2
const BROKER = 4
const BROKER_LOGGER = 8
const CLIENT_METRICS = 16
const GROUP = 32

const retention: ConfigDescription = {
  name: 'retention.ms',
  value: '1000',
  readOnly: false,
  source: 1,
  sensitive: false,
  type: 5,
  documentation: 'How long records are kept.',
  synonyms: [
    { name: 'retention.ms', value: '1000', source: 1 },
    { name: 'log.retention.ms', value: null, source: 5 }
  ]
}
const secret: ConfigDescription = {
  ...retention,
  name: 'secret',
  value: 'hush',
  readOnly: true,
  sensitive: true,
  type: 9,
  synonyms: [{ name: 'secret', value: 'hush', source: 4 }]
}

let served: ServedGateway
let client: RawClient
beforeEach(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
  served.host.cluster.addTopic('a')
  served.host.configs.configs = [retention, secret]
})
afterEach(() => served.stop())

const resource = (resourceType: number, resourceName: string, configurationKeys: string[] | null = null) => ({
  resourceType,
  resourceName,
  configurationKeys
})

test('every version tells settings, and types, texts and origins as far as it has words for them', async () => {
  for (let version = 1; version <= 4; version++) {
    const documented = version >= 3
    const { results } = await client.request(apis.describeConfigs, version, {
      resources: [resource(TOPIC, 'a')],
      includeSynonyms: true,
      includeDocumentation: documented
    })
    expect(results).toMatchObject([{ errorCode: 0, errorMessage: '', resourceType: TOPIC, resourceName: 'a' }])
    expect(results[0]?.configs[0]).toMatchObject({
      name: 'retention.ms',
      value: '1000',
      readOnly: false,
      configSource: 1,
      isSensitive: false,
      synonyms: retention.synonyms,
      configType: documented ? 5 : 0,
      ...(documented ? { documentation: 'How long records are kept.' } : {})
    })
  }
  expect(served.host.configs.calls).toEqual(Array(4).fill([{ type: 'topic', name: 'a' }]))
})

test('origins and texts come only when asked for; what is secret never', async () => {
  const { results } = await client.request(apis.describeConfigs, 4, { resources: [resource(TOPIC, 'a')] })
  expect(results[0]?.configs).toMatchObject([
    { name: 'retention.ms', value: '1000', synonyms: [], documentation: null },
    { name: 'secret', value: null, isSensitive: true, readOnly: true }
  ])
  const detailed = await client.request(apis.describeConfigs, 4, {
    resources: [resource(TOPIC, 'a', ['secret'])],
    includeSynonyms: true
  })
  expect(detailed.results[0]?.configs).toMatchObject([{ value: null, synonyms: [{ name: 'secret', value: null }] }])
})

test('keys pick settings, unknown ones are left out, an empty list means all', async () => {
  const names = async (keys: string[] | null) => {
    const { results } = await client.request(apis.describeConfigs, 4, { resources: [resource(TOPIC, 'a', keys)] })
    return results[0]?.configs.map(config => config.name)
  }
  expect(await names(['nope', 'retention.ms'])).toEqual(['retention.ms'])
  expect(await names(['nope'])).toEqual([])
  expect(await names([])).toEqual(['retention.ms', 'secret'])
  expect(await names(null)).toEqual(['retention.ms', 'secret'])
})

test('each resource is told in its place, those that cannot be asked for with their error', async () => {
  const { brokerId } = served.host
  const cases: [ReturnType<typeof resource>, ErrorName | null][] = [
    [resource(TOPIC, 'a'), null],
    [resource(TOPIC, 'nope'), 'UNKNOWN_TOPIC_OR_PARTITION'],
    [resource(TOPIC, 'a/b'), 'INVALID_TOPIC_EXCEPTION'],
    [resource(TOPIC, ''), 'INVALID_TOPIC_EXCEPTION'],
    [resource(BROKER, String(brokerId)), null],
    [resource(BROKER, ''), null],
    [resource(BROKER, String(brokerId + 1)), 'INVALID_REQUEST'],
    [resource(BROKER, 'abc'), 'INVALID_REQUEST'],
    [resource(BROKER_LOGGER, String(brokerId)), null],
    [resource(BROKER_LOGGER, ''), 'INVALID_REQUEST'],
    [resource(BROKER_LOGGER, String(brokerId + 1)), 'INVALID_REQUEST'],
    [resource(CLIENT_METRICS, 'x'), null],
    [resource(CLIENT_METRICS, ''), 'INVALID_REQUEST'],
    [resource(GROUP, 'g'), null],
    [resource(GROUP, ''), 'INVALID_REQUEST'],
    [resource(3, 'x'), 'INVALID_REQUEST'],
    [resource(77, 'x'), 'INVALID_REQUEST'],
    [resource(TOPIC, 'a', ['secret']), null]
  ]
  const { results } = await client.request(apis.describeConfigs, 4, { resources: cases.map(([asked]) => asked) })
  expect(results.map(each => [each.resourceType, each.resourceName, each.errorCode, each.configs.length])).toEqual(
    cases.map(([{ resourceType, resourceName, configurationKeys }, error]) => [
      resourceType,
      resourceName,
      error === null ? 0 : errorCode(error),
      error !== null ? 0 : configurationKeys === null ? 2 : 1
    ])
  )
  expect(served.host.configs.calls[0]?.map(({ type, name }) => [type, name])).toEqual([
    ['topic', 'a'],
    ['broker', String(brokerId)],
    ['broker', ''],
    ['brokerLogger', String(brokerId)],
    ['clientMetrics', 'x'],
    ['group', 'g'],
    ['topic', 'a']
  ])
})

test('a refusal of the host is told with its words', async () => {
  served.host.configs.refusal = { kind: 'refused', error: 'INVALID_REQUEST', message: 'no such thing here' }
  const { results } = await client.request(apis.describeConfigs, 4, { resources: [resource(GROUP, 'g')] })
  const expected = { errorCode: errorCode('INVALID_REQUEST'), errorMessage: 'no such thing here', configs: [] }
  expect(results).toMatchObject([expected])
})
