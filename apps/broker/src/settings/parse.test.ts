import { describe, expect, it } from 'vitest'
import { brokerSettings } from './broker-settings.ts'
import { formatValue, parseValue } from './definition.ts'
import { parseHostPort, parseListeners } from './listener.ts'
import { parseBrokerSettings, SettingsError } from './parse.ts'
import { topicSettings } from './topic-settings.ts'
import { describeTopicConfigs, resolveTopicSettings } from './topic-config-view.ts'

function problemsOf(raw: Record<string, string>): readonly string[] {
  try {
    parseBrokerSettings(new Map(Object.entries(raw)))
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  }
  return []
}

describe('broker settings', () => {
  it('have their defaults when nothing is said', () => {
    const settings = parseBrokerSettings(new Map())
    expect(settings['num.partitions']).toBe(1)
    expect(settings['log.roll.ms']).toBe(604_800_000n)
    expect(settings.listeners).toEqual(['PLAINTEXT://127.0.0.1:9092'])
  })

  it('name every unknown and every illegal one, with the nearest known name', () => {
    expect(problemsOf({ 'num.partition': '3', 'node.id': 'x', 'auto.create.topics.enable': 'yes' })).toEqual([
      'Unknown setting num.partition (did you mean num.partitions?)',
      'Invalid value x for configuration node.id: Not a number of type INT',
      'Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false'
    ])
  })

  it('are not fooled by names that every object inherits', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(problemsOf(Object.fromEntries([[name, '1']]))).toEqual([`Unknown setting ${name}`])
    }
  })

  it('keep int64 exact', () => {
    const settings = parseBrokerSettings(new Map([['log.message.timestamp.before.max.ms', '9007199254740993']]))
    expect(settings['log.message.timestamp.before.max.ms']).toBe(9_007_199_254_740_993n)
  })

  it('refuse what Kafka has and this broker will not do, and say why', () => {
    const name = 'unclean.leader.election.enable'
    expect(parseValue(name, topicSettings[name], 'false')).toEqual({ value: false })
    expect(parseValue(name, topicSettings[name], ' True ')).toEqual({
      problem: expect.stringMatching(/^Invalid value .*: Leaders that may lack acknowledged records .*\/v1\/recovery/)
    })
  })

  it('have defaults that their own definitions accept', () => {
    for (const table of [brokerSettings, topicSettings]) {
      for (const [name, definition] of Object.entries(table)) {
        expect(parseValue(name, definition, formatValue(definition.default)), name).toEqual({
          value: definition.default
        })
      }
    }
  })
})

describe('listeners', () => {
  it('are name, host and port; an empty host means all interfaces', () => {
    expect(parseListeners('listeners', ['PLAINTEXT://:9092', 'inside://[::1]:19092'])).toEqual([
      { name: 'PLAINTEXT', host: '', port: 9092 },
      { name: 'INSIDE', host: '::1', port: 19092 }
    ])
  })

  it.each(['PLAINTEXT:9092', 'PLAINTEXT://h:70000', 'PLAINTEXT://h', '://h:1', 'SSL://h:1'])('refuse %s', text => {
    expect(() => parseListeners('listeners', [text])).toThrow(SettingsError)
  })

  it('refuse a name twice', () => {
    expect(() => parseListeners('listeners', ['A://:1', 'A://:2'])).toThrow(/named twice/)
  })

  it('let the admin port be switched off', () => {
    expect(parseHostPort('admin.listener', '127.0.0.1:-1')).toEqual({ host: '127.0.0.1', port: -1 })
    expect(() => parseHostPort('admin.listener', 'nope')).toThrow(/admin.listener/)
  })
})

describe('topic settings', () => {
  it('fall back to the broker and say where a value is from', () => {
    const broker = parseBrokerSettings(new Map([['message.max.bytes', '2000000']]))
    const views = describeTopicConfigs({ 'retention.ms': '5' }, { start: broker, broker: {}, cluster: {} })
    const view = (name: string): unknown => views.find(config => config.name === name)
    expect(views).toHaveLength(Object.keys(topicSettings).length)
    expect(view('retention.ms')).toMatchObject({ value: '5', source: 1 })
    expect(view('max.message.bytes')).toMatchObject({ value: '2000000', source: 4 })
    expect(view('flush.ms')).toMatchObject({ value: '9223372036854775807', source: 5 })
    const typed = resolveTopicSettings({ 'retention.ms': '5' }, broker)
    expect(typed['retention.ms']).toBe(5n)
    expect(typed['max.message.bytes']).toBe(2_000_000)
  })

  it('take any number for retention.bytes, as Kafka does', () => {
    expect(parseValue('retention.bytes', topicSettings['retention.bytes'], '-2')).toEqual({ value: -2n })
  })
})
