import type { ConfigAlteration, ConfigOperation } from '@milena/gateway'
import { describe, expect, it } from 'vitest'
import { apply } from '../metadata/apply.ts'
import { emptyState, fromSnapshot, toSnapshot, type ClusterState } from '../metadata/cluster-state.ts'
import { decodeCommand, encodeCommand, type Command } from '../metadata/commands.ts'
import { LIST_LENGTH_MAX, planConfigChanges, VALUE_LENGTH_MAX } from './config-plan.ts'

const TOPIC = { type: 'topic', name: 't' } as const
const BROKER = { type: 'broker', name: '1001' } as const
const ALL_BROKERS = { type: 'broker', name: '' } as const

const topic = { name: 't', topicId: 'id-t', partitions: [{ replicas: [0], bootstrapReplicas: [0] }], configs: {} }
const withTopic = apply(emptyState, { type: 'create-topics', version: 1, topics: [topic] }).state

const set = (name: string, value: string): ConfigOperation => ({ kind: 'set', name, value })
const append = (name: string, value: string): ConfigOperation => ({ kind: 'append', name, value })
const subtract = (name: string, value: string): ConfigOperation => ({ kind: 'subtract', name, value })
const unset = (name: string): ConfigOperation => ({ kind: 'delete', name })

function alteration(
  resource: ConfigAlteration['resource'],
  operations: ConfigOperation[],
  mode: ConfigAlteration['mode'] = 'incremental'
): ConfigAlteration {
  return { resource, mode, operations }
}

/** The state after alterations, carried there by a command as the controller's log keeps it. */
function altered(state: ClusterState, ...alterations: ConfigAlteration[]): ClusterState {
  const { changes, results } = planConfigChanges(state, alterations)
  expect(results).toEqual(alterations.map(() => ({ kind: 'done' })))
  const command: Command = { type: 'set-configs', version: 2, changes }
  return apply(state, decodeCommand(encodeCommand(command))).state
}

/** Error and message. */
function refusal(one: ConfigAlteration, state = withTopic): unknown {
  const { changes, results } = planConfigChanges(state, [one])
  expect(changes).toEqual([])
  const [result] = results
  return result?.kind === 'refused' ? `${result.error}: ${result.message}` : result?.kind
}

const topicConfigs = (state: ClusterState): unknown => state.topics.get('t')?.configs

describe('changing the settings of topics', () => {
  it('sets and removes single ones, and keeps the others', () => {
    const one = altered(withTopic, alteration(TOPIC, [set('retention.ms', ' 5 '), set('segment.ms', '7')]))
    expect(topicConfigs(one)).toEqual({ 'retention.ms': '5', 'segment.ms': '7' })
    const two = altered(one, alteration(TOPIC, [unset('retention.ms'), set('flush.ms', '9'), unset('segment.bytes')]))
    expect(topicConfigs(two)).toEqual({ 'segment.ms': '7', 'flush.ms': '9' })
  })

  it('replaces all when that is asked for', () => {
    const one = altered(withTopic, alteration(TOPIC, [set('retention.ms', '5'), set('segment.ms', '7')]))
    expect(topicConfigs(altered(one, alteration(TOPIC, [set('segment.ms', '8')], 'replace')))).toEqual({
      'segment.ms': '8'
    })
    expect(topicConfigs(altered(one, alteration(TOPIC, [], 'replace')))).toEqual({})
  })

  it('adds to lists and takes from them, from the default on, every element once', () => {
    const both = altered(withTopic, alteration(TOPIC, [append('cleanup.policy', 'compact')]))
    expect(topicConfigs(both)).toEqual({ 'cleanup.policy': 'delete,compact' })
    expect(topicConfigs(altered(both, alteration(TOPIC, [append('cleanup.policy', 'compact')])))).toEqual(
      topicConfigs(both)
    )
    const name = 'leader.replication.throttled.replicas'
    const some = altered(withTopic, alteration(TOPIC, [append(name, '0:1, 1:1')]))
    const more = altered(some, alteration(TOPIC, [append(name, '2:1,1:1')]))
    expect(topicConfigs(more)).toEqual({ [name]: '0:1,1:1,2:1' })
    const fewer = altered(more, alteration(TOPIC, [subtract(name, '0:1,9:9')]))
    expect(topicConfigs(fewer)).toEqual({ [name]: '1:1,2:1' })
    expect(topicConfigs(altered(fewer, alteration(TOPIC, [subtract(name, '1:1,2:1')])))).toEqual({ [name]: '' })
  })

  it('is all or nothing for a resource, and each resource is for itself', () => {
    const { changes, results } = planConfigChanges(withTopic, [
      alteration(TOPIC, [set('retention.ms', '5'), set('nope', '1')]),
      alteration({ type: 'topic', name: 'u' }, [set('retention.ms', '5')]),
      alteration(ALL_BROKERS, [set('message.max.bytes', '5000')])
    ])
    expect(results.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'done'])
    expect(changes).toEqual([{ resource: { type: 'cluster' }, set: { 'message.max.bytes': '5000' }, unset: [] }])
  })

  it('needs no command for what is so already', () => {
    const state = altered(withTopic, alteration(TOPIC, [set('retention.ms', '5')]))
    const same = [set('retention.ms', '5'), unset('segment.ms'), unset('nope')]
    expect(planConfigChanges(state, [alteration(TOPIC, same)])).toEqual({ changes: [], results: [{ kind: 'done' }] })
  })

  it.each<[string, ConfigOperation[], string]>([
    ['an unknown name', [set('nope', '1')], 'Unknown topic config name: nope'],
    ['an inherited name', [set('__proto__', '1')], 'Unknown topic config name: __proto__'],
    [
      'an unknown name before a bad value',
      [set('segment.ms', 'x'), set('nope', '1')],
      'Unknown topic config name: nope'
    ],
    ['no number', [set('segment.ms', 'x')], 'Invalid value x for configuration segment.ms: Not a number of type LONG'],
    [
      'a number too small',
      [set('retention.ms', '-5')],
      'Invalid value -5 for configuration retention.ms: Value must be at least -1'
    ],
    [
      'a number beyond its type',
      [set('max.message.bytes', '99999999999')],
      'Invalid value 99999999999 for configuration max.message.bytes: Not a number of type INT'
    ],
    [
      'a word that is not one of them',
      [set('message.timestamp.type', 'x')],
      'Invalid value x for configuration message.timestamp.type: String must be one of: CreateTime, LogAppendTime'
    ],
    [
      'an element that is not one of them',
      [append('cleanup.policy', 'x')],
      'Invalid value x for configuration cleanup.policy: String must be one of: compact, delete'
    ],
    [
      'an empty element',
      [set('cleanup.policy', 'delete,,compact')],
      "Configuration 'cleanup.policy' values must not be empty."
    ],
    [
      'a level between those of gzip',
      [set('compression.gzip.level', '0')],
      'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1'
    ],
    [
      'adding to what is no list',
      [append('retention.ms', '1')],
      "Can't APPEND to key retention.ms because its type is not LIST."
    ],
    [
      'taking from what is no list',
      [subtract('nope', '1')],
      "Can't SUBTRACT to key nope because its type is not LIST."
    ],
    [
      'what is no replica',
      [set('leader.replication.throttled.replicas', '*,0:1')],
      "Invalid value [*, 0:1] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    ],
    [
      'a contradiction',
      [set('min.compaction.lag.ms', '100'), set('max.compaction.lag.ms', '10')],
      'conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (10)'
    ],
    [
      'tiered storage',
      [set('remote.storage.enable', 'true')],
      'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'
    ],
    [
      'a text without end',
      [set('segment.ms', '1'.repeat(VALUE_LENGTH_MAX + 1))],
      `The value of segment.ms is longer than ${VALUE_LENGTH_MAX} characters.`
    ],
    [
      'a list without end',
      [set('leader.replication.throttled.replicas', '0:1,'.repeat(LIST_LENGTH_MAX / 4) + '0:1')],
      `The value of leader.replication.throttled.replicas is longer than ${LIST_LENGTH_MAX} characters.`
    ]
  ])('refuses %s as Kafka does', (_, operations, message) => {
    expect(refusal(alteration(TOPIC, operations))).toBe(`INVALID_CONFIG: ${message}`)
    // Of a topic that does not exist that is found first.
    expect(refusal(alteration({ type: 'topic', name: 'zzz' }, operations))).toBe(`INVALID_CONFIG: ${message}`)
  })

  it.each([
    ['leader.replication.throttled.replicas', '*', '*'],
    ['leader.replication.throttled.replicas', '', ''],
    ['follower.replication.throttled.replicas', '0:1,0:1, 1:2', '0:1,1:2'],
    ['cleanup.policy', 'delete,delete', 'delete'],
    ['cleanup.policy', '', ''],
    ['compression.gzip.level', '-1', '-1'],
    ['preallocate', ' TRUE', 'true'],
    ['segment.ms', '+7', '7']
  ])('takes %s=%s, in its usual form', (name, value, kept) => {
    expect(topicConfigs(altered(withTopic, alteration(TOPIC, [set(name, value)])))).toEqual({ [name]: kept })
  })

  it('refuses a topic that does not exist, also when there is nothing to change', () => {
    const nowhere = { type: 'topic', name: 'zzz' } as const
    for (const operations of [[set('retention.ms', '5')], [unset('retention.ms')], []]) {
      expect(refusal(alteration(nowhere, operations))).toBe(
        "UNKNOWN_TOPIC_OR_PARTITION: The topic 'zzz' does not exist."
      )
    }
  })
})

describe('changing the settings of brokers', () => {
  it('keeps what was set for one apart from what was set for all', () => {
    const rate = 'leader.replication.throttled.rate'
    const state = altered(
      withTopic,
      alteration(ALL_BROKERS, [set(rate, '500'), set('message.max.bytes', '2000')]),
      alteration(BROKER, [set(rate, '1000')])
    )
    expect(state.configs).toEqual({ [rate]: '500', 'message.max.bytes': '2000' })
    expect([...state.brokerConfigs]).toEqual([[1001, { [rate]: '1000' }]])
    expect(fromSnapshot(toSnapshot(state)).brokerConfigs).toEqual(state.brokerConfigs)
    const without = altered(state, alteration(BROKER, [], 'replace'), alteration(ALL_BROKERS, [unset(rate)]))
    expect(without.brokerConfigs.size).toBe(0)
    expect(without.configs).toEqual({ 'message.max.bytes': '2000' })
  })

  it.each<[string, ConfigAlteration['resource'], ConfigOperation[], string]>([
    [
      'what needs a restart',
      BROKER,
      [set('node.id', '7'), set('message.max.bytes', 'x'), set('log.dirs', '/')],
      'Cannot update these configs dynamically: [node.id, log.dirs]'
    ],
    ['what nothing looks at', BROKER, [set('nope', '7')], 'Cannot update these configs dynamically: [nope]'],
    [
      'an inherited name',
      ALL_BROKERS,
      [set('constructor', '7')],
      'Cannot update these configs dynamically: [constructor]'
    ],
    [
      'for one broker what holds for all',
      BROKER,
      [set('partition.balancer.enable', 'false')],
      'Cannot update these configs dynamically: [partition.balancer.enable]'
    ],
    [
      'no number',
      BROKER,
      [set('leader.replication.throttled.rate', 'x')],
      'Invalid value x for configuration leader.replication.throttled.rate: Not a number of type LONG'
    ],
    [
      'a rate below nothing',
      ALL_BROKERS,
      [set('follower.replication.throttled.rate', '-1')],
      'Invalid value -1 for configuration follower.replication.throttled.rate: Value must be at least 0'
    ]
  ])('refuses %s', (_, resource, operations, message) => {
    expect(refusal(alteration(resource, operations))).toBe(`INVALID_REQUEST: ${message}`)
  })

  it('lets anything be removed, as Kafka does', () => {
    expect(refusal(alteration(BROKER, [unset('node.id'), unset('nope')]))).toBe('done')
  })

  it('forgets those of a node that is removed', () => {
    const node = { nodeId: 1, instance: 'a', shardCount: 2, rack: '', rpc: { host: '', port: 0 }, listeners: [] }
    const registered = apply(withTopic, { type: 'register-node', version: 1, node }).state
    const other = { type: 'broker', name: '2000' } as const
    const state = altered(
      registered,
      alteration(BROKER, [set('message.max.bytes', '1')]),
      alteration(other, [set('message.max.bytes', '2')])
    )
    const { brokerConfigs } = apply(state, { type: 'remove-node', version: 1, nodeId: 1 }).state
    expect([...brokerConfigs.keys()]).toEqual([2000])
  })
})

describe('resources without settings', () => {
  it.each([
    ['group', 'INVALID_CONFIG: Unknown group config name: x'],
    ['clientMetrics', 'INVALID_REQUEST: Unknown client metrics configuration: x'],
    ['brokerLogger', 'INVALID_CONFIG: Logger x does not exist!']
  ] as const)('of type %s know no name, and nothing can be missing', (type, message) => {
    expect(refusal(alteration({ type, name: '1' }, [set('x', '1')]))).toBe(message)
    expect(refusal(alteration({ type, name: '1' }, [unset('x')]))).toBe('done')
  })
})

describe('the command', () => {
  it('is read in its first version too, and refused in one that is newer than this broker', () => {
    const changes = [{ resource: { type: 'cluster' }, set: { a: '1' }, unset: [] }]
    const encoded = (version: number): Uint8Array =>
      Buffer.from(JSON.stringify({ type: 'set-configs', version, changes }))
    expect(apply(emptyState, decodeCommand(encoded(1))).state.configs).toEqual({ a: '1' })
    expect(() => decodeCommand(encoded(3))).toThrow('command set-configs has version 3, this broker knows 2')
  })
})
