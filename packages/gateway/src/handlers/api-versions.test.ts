import { apis, errorCode } from '@milena/wire-protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createGateway } from '../gateway.ts'
import { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import { handlersFor } from './all.ts'

let served: ServedGateway
beforeAll(async () => void (served = await ServedGateway.start()))
afterAll(() => served.stop())

const software = { clientSoftwareName: 'test-client', clientSoftwareVersion: '1.0.2' }

test('every version lists exactly the handlers of the table and ApiVersions itself, sorted by key', async () => {
  const client = await served.connect()
  const expected = [
    ...handlersFor(served.host).map(({ api, versions }) => [api.key, versions.min, versions.max]),
    [18, 0, 4]
  ]
  expected.sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0))
  for (let version = 0; version <= 4; version++) {
    const { apiKeys, errorCode } = await client.request(apis.apiVersions, version, version < 3 ? {} : software)
    expect(errorCode).toBe(0)
    expect(apiKeys.map(key => [key.apiKey, key.minVersion, key.maxVersion])).toEqual(expected)
  }
})

test('what needs a port that the host lacks is neither listed nor served', async () => {
  const { administration: _, configs: __, logDirs: ___, ...bare } = new MemoryHost()
  const listeners = [{ name: 'PLAINTEXT', host: '127.0.0.1', port: 0 }]
  const gateway = createGateway({ host: bare, listeners })
  const [bound] = await gateway.listen()
  const client = await RawClient.connect(bound?.port ?? 0)
  try {
    const listed = new Set((await client.request(apis.apiVersions, 4, software)).apiKeys.map(key => key.apiKey))
    const all = handlersFor(served.host).map(({ api }) => api.key)
    const missing = all.filter(key => !listed.has(key)).sort((a, b) => a - b)
    const { describeConfigs, alterConfigs, incrementalAlterConfigs, describeLogDirs } = apis
    const { electLeaders, alterPartitionReassignments, listPartitionReassignments, describeQuorum } = apis
    const optional = [
      describeConfigs,
      alterConfigs,
      incrementalAlterConfigs,
      describeLogDirs,
      electLeaders,
      alterPartitionReassignments,
      listPartitionReassignments,
      describeQuorum,
      apis.unregisterBroker,
      apis.alterReplicaLogDirs,
      apis.listConfigResources
    ]
    const keys = optional.map(api => api.key).sort((a, b) => a - b)
    expect(missing).toEqual(keys)
    await expect(client.request(apis.describeQuorum, 2, { topics: [] })).rejects.toThrow('closed')
  } finally {
    client.close()
    await gateway.close({ drainMs: 100 })
  }
})

test('the features tell which Kafka this is, and claim no protocol that is not served', async () => {
  const client = await served.connect()
  for (const version of [3, 4]) {
    expect(await client.request(apis.apiVersions, version, software)).toMatchObject({
      supportedFeatures: [{ name: 'metadata.version', minVersion: 30, maxVersion: 30 }],
      finalizedFeatures: [{ name: 'metadata.version', minVersionLevel: 30, maxVersionLevel: 30 }],
      finalizedFeaturesEpoch: 0n
    })
  }
})

test('Produce is listed from version 0 for the sake of librdkafka, but its first versions are not served', async () => {
  const client = await served.connect()
  const { apiKeys } = await client.request(apis.apiVersions, 0, {})
  expect(apiKeys.find(key => key.apiKey === 0)).toMatchObject({ minVersion: 0, maxVersion: 13 })
  for (const version of [0, 1, 2]) {
    const other = await served.connect()
    await expect(other.request(apis.produce, version, { acks: 1, topicData: [] })).rejects.toThrow('closed')
  }
})

test('an unknown version is answered in version 0 with UNSUPPORTED_VERSION and the range of ApiVersions', async () => {
  const client = await served.connect()
  for (const version of [5, 9, 32_767, -1]) {
    const frame = client.encode(apis.apiVersions, 4, software)
    frame.writeInt16BE(version, 6)
    client.sendBytes(frame)
    const answer = await client.nextFrame()
    expect(client.decode(apis.apiVersions, 0, answer ?? Buffer.alloc(0))).toMatchObject({
      errorCode: errorCode('UNSUPPORTED_VERSION'),
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }]
    })
  }
  expect((await client.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
})

test('a client software name that is no plain word is INVALID_REQUEST', async () => {
  const client = await served.connect()
  for (const clientSoftwareName of ['', '-x', 'a b', 'a\n', '\u0000']) {
    const response = await client.request(apis.apiVersions, 4, { ...software, clientSoftwareName })
    expect(response).toMatchObject({ errorCode: errorCode('INVALID_REQUEST'), apiKeys: [] })
  }
})
