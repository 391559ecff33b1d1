import { apis, errorCode } from '@milena/wire-protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RawClient } from '../../testing/raw-client.ts'
import { ServedGateway } from '../../testing/served-gateway.ts'

const LEVEL = 30

let served: ServedGateway
let client: RawClient
beforeAll(async () => {
  served = await ServedGateway.start()
  client = await served.connect()
})
afterAll(() => served.stop())

const ask = (version: number, ...updates: [feature: string, level: number, upgradeType?: number][]) =>
  client.request(apis.updateFeatures, version, {
    featureUpdates: updates.map(([feature, maxVersionLevel, upgradeType]) => ({
      feature,
      maxVersionLevel,
      ...(upgradeType === undefined ? {} : { upgradeType })
    }))
  })

test('the level that the brokers run is there already', async () => {
  const done = { errorCode: 0, errorMessage: null }
  const result = { feature: 'metadata.version', errorCode: 0, errorMessage: 'NONE' }
  for (const version of [0, 1]) {
    expect(await ask(version, ['metadata.version', LEVEL])).toMatchObject({ ...done, results: [result] })
  }
  expect(await ask(2, ['metadata.version', LEVEL])).toMatchObject({ ...done, results: [] })
  expect(await ask(2)).toMatchObject({ ...done, results: [] })
})

test.each([
  ['a higher level', ['metadata.version', LEVEL + 1]],
  ['a lower level', ['metadata.version', LEVEL - 1, 2]],
  ['a lower level at any price', ['metadata.version', LEVEL - 1, 3]],
  ['a negative level', ['metadata.version', -1, 2]],
  ['an unknown type of upgrade', ['metadata.version', LEVEL, 9]],
  ['a feature that is not served', ['transaction.version', 2]],
  ['a feature without a name', ['', 1]]
] as const)('%s is refused, with everything that was asked beside it', async (_what, update) => {
  const answer = await ask(1, ['metadata.version', LEVEL], [...update])
  expect(answer).toMatchObject({ errorCode: errorCode('INVALID_UPDATE_VERSION'), results: [] })
  expect(answer.errorMessage).toContain(`because of ${update[0]}:`)
})
