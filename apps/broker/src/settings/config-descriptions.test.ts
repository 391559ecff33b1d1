import type { ConfigDescription, ConfigResource } from '@milena/gateway'
import { memoryMeshes } from '@milena/shard-scheduler'
import { describe, expect, it } from 'vitest'
import { ControllerClient } from '../controller/controller-client.ts'
import { decodeMessage, encodeMessage, meshServices, type Question, type Reply } from '../controller/messages.ts'
import { apply } from '../controller/metadata/apply.ts'
import { emptyState, type ClusterState } from '../controller/metadata/cluster-state.ts'
import type { ConfigChange } from '../controller/metadata/commands.ts'
import { ShardConfigs } from './config-descriptions.ts'
import { LiveSettings, throttledRate } from './dynamic-settings.ts'
import { parseBrokerSettings } from './parse.ts'

const BROKER_ID = 1001
const started = parseBrokerSettings(new Map([['message.max.bytes', '1000']]))
const topic = { name: 't', topicId: 'id-t', partitions: [], configs: { 'segment.ms': '7' } }
const withTopic = apply(emptyState, { type: 'create-topics', version: 1, topics: [topic] }).state

function changed(state: ClusterState, resource: ConfigChange['resource'], set: Record<string, string>): ClusterState {
  return apply(state, { type: 'set-configs', version: 2, changes: [{ resource, set, unset: [] }] }).state
}

const forAll = (state: ClusterState, set: Record<string, string>): ClusterState =>
  changed(state, { type: 'cluster' }, set)
const forOne = (state: ClusterState, set: Record<string, string>, brokerId = BROKER_ID): ClusterState =>
  changed(state, { type: 'broker', brokerId }, set)

/** Settings of a resource as a shard with this state describes them. */
async function describeAs(state: ClusterState, resource: ConfigResource): Promise<Map<string, ConfigDescription>> {
  const [mesh] = memoryMeshes(1)
  const controller = new ControllerClient(mesh!)
  const configs = new ShardConfigs({ settings: started, brokerId: BROKER_ID, state: () => state, controller })
  const [view] = await configs.describe([resource])
  if (view?.kind !== 'done') throw new Error('refused')
  return new Map(view.configs.map(config => [config.name, config]))
}

const BROKER = { type: 'broker', name: String(BROKER_ID) } as const
const ALL_BROKERS = { type: 'broker', name: '' } as const
const TOPIC = { type: 'topic', name: 't' } as const

describe('a setting that is described', () => {
  const state = forOne(forAll(withTopic, { 'message.max.bytes': '3000', 'log.roll.ms': '9' }), {
    'message.max.bytes': '2000',
    'leader.replication.throttled.rate': '500'
  })

  it('of a broker comes from the broker at run time, all brokers at run time, its start, the default', async () => {
    const configs = await describeAs(state, BROKER)
    expect(configs.get('message.max.bytes')).toMatchObject({
      value: '2000',
      source: 2,
      readOnly: false,
      synonyms: [
        { name: 'message.max.bytes', value: '2000', source: 2 },
        { name: 'message.max.bytes', value: '3000', source: 3 },
        { name: 'message.max.bytes', value: '1000', source: 4 },
        { name: 'message.max.bytes', value: '1048588', source: 5 }
      ]
    })
    expect(configs.get('log.roll.ms')).toMatchObject({ value: '9', source: 3, readOnly: false })
    expect(configs.get('node.id')).toMatchObject({ value: '-1', source: 5, readOnly: true })
    expect(configs.get('leader.replication.throttled.rate')).toMatchObject({
      value: '500',
      source: 2,
      type: 5,
      synonyms: [{ name: 'leader.replication.throttled.rate', value: '500', source: 2 }]
    })
    expect(configs.has('follower.replication.throttled.rate')).toBe(false)
  })

  it('of another broker is not ours', async () => {
    const other = forOne(withTopic, { 'message.max.bytes': '5' }, 2000)
    expect((await describeAs(other, BROKER)).get('message.max.bytes')).toMatchObject({ value: '1000', source: 4 })
  })

  it('of all brokers is there when it was set for all of them', async () => {
    const configs = await describeAs(state, ALL_BROKERS)
    expect(
      [...configs.values()].map(({ name, value, source, synonyms }) => ({ name, value, source, synonyms }))
    ).toEqual(
      [
        ['message.max.bytes', '3000'],
        ['log.roll.ms', '9']
      ].map(([name, value]) => ({ name, value, source: 3, synonyms: [{ name, value, source: 3 }] }))
    )
  })

  it('of a topic comes from the topic, then from the broker setting that gives it its default', async () => {
    const configs = await describeAs(state, TOPIC)
    expect(configs.get('segment.ms')?.synonyms).toEqual([
      { name: 'segment.ms', value: '7', source: 1 },
      { name: 'log.roll.ms', value: '9', source: 3 },
      { name: 'log.roll.ms', value: '604800000', source: 5 }
    ])
    expect(configs.get('max.message.bytes')).toMatchObject({ value: '2000', source: 2, readOnly: false })
    expect(configs.get('flush.ms')).toMatchObject({ source: 5, synonyms: [] })
  })
})

describe('the settings of a broker that runs', () => {
  it('are those of its start with what was changed for all and then for it, and the same object until that changes', () => {
    const live = new LiveSettings(started, BROKER_ID)
    expect(live.at(withTopic)['message.max.bytes']).toBe(1000)
    const all = forAll(withTopic, { 'message.max.bytes': '3000' })
    expect(live.at(all)['message.max.bytes']).toBe(3000)
    const one = forOne(all, { 'message.max.bytes': '2000' })
    const now = live.at(one)
    expect(now['message.max.bytes']).toBe(2000)
    expect(live.at(apply(one, { type: 'allocate-producer-ids', version: 1, count: 1 }).state)).toBe(now)
    expect(live.at(withTopic)['message.max.bytes']).toBe(1000)
  })

  it('have a rate only when one was set, the own before that of all', () => {
    const rate = 'leader.replication.throttled.rate'
    const all = forAll(withTopic, { [rate]: '300' })
    expect(throttledRate(withTopic, BROKER_ID, rate)).toBeUndefined()
    expect(throttledRate(all, BROKER_ID, rate)).toBe(300)
    expect(throttledRate(forOne(all, { [rate]: '200' }), BROKER_ID, rate)).toBe(200)
    expect(throttledRate(forOne(all, { [rate]: '9223372036854775807' }), BROKER_ID, rate)).toBeUndefined()
  })
})

describe('changes', () => {
  const alteration = { resource: TOPIC, mode: 'incremental', operations: [] } as const

  it('are asked of the controller', async () => {
    const [mesh] = memoryMeshes(1)
    const asked: Question[] = []
    mesh!.serve(meshServices.ask, payload => {
      asked.push(decodeMessage<Question>(payload))
      return encodeMessage({
        kind: 'answer',
        revision: 1,
        recovery: 0,
        leader: 0,
        answer: [{ kind: 'done' }]
      } satisfies Reply)
    })
    const controller = new ControllerClient(mesh!)
    const configs = new ShardConfigs({ settings: started, brokerId: BROKER_ID, state: () => withTopic, controller })
    expect(await configs.alter([alteration], { validateOnly: true })).toEqual([{ kind: 'done' }])
    expect(asked).toMatchObject([{ name: 'alterConfigs', request: { alterations: [alteration], validateOnly: true } }])
  })

  it('time out when it cannot be reached', async () => {
    const [mesh] = memoryMeshes(1)
    mesh!.serve(meshServices.ask, () => encodeMessage({ kind: 'unavailable' } satisfies Reply))
    const controller = new ControllerClient(mesh!)
    const configs = new ShardConfigs({ settings: started, brokerId: BROKER_ID, state: () => withTopic, controller })
    const [result] = await configs.alter([alteration], { validateOnly: false })
    expect(result).toMatchObject({ kind: 'refused', error: 'REQUEST_TIMED_OUT' })
  })
})
