import { describe, expect, it } from 'vitest'
import { parseStartArguments } from './command-line.ts'
import { planListeners, planShardCount, shardListeners } from './node/node-plan.ts'
import { parseBrokerSettings, SettingsError } from './settings/parse.ts'

const raw = async (args: string[], file = ''): Promise<Record<string, string>> =>
  Object.fromEntries((await parseStartArguments(args, () => file)).raw)

describe('the command line', () => {
  it('maps its short options to settings', async () => {
    expect(
      await raw(['--data-dir', '/d', '--kafka-port', '19092', '--admin-port', '-1', '--shards', '2', '--node-id', '3'])
    ).toEqual({
      'log.dirs': '/d',
      listeners: 'PLAINTEXT://127.0.0.1:19092',
      'admin.listener': '127.0.0.1:-1',
      'num.shards': '2',
      'node.id': '3'
    })
    expect(await raw(['--host', '0.0.0.0'])).toEqual({
      listeners: 'PLAINTEXT://0.0.0.0:9092',
      'admin.listener': '0.0.0.0:9644'
    })
  })

  it('takes any setting with -o, which overrides the file, flat or nested', async () => {
    const file = 'log:\n  segment.bytes: 2097152\nlog.roll.ms: 9007199254740993\nlisteners: [A://:1, B://:2]\n'
    expect(await raw(['--config', 'f.yaml', '-o', 'log.segment.bytes=4194304'], file)).toEqual({
      'log.segment.bytes': '4194304',
      'log.roll.ms': '9007199254740993',
      listeners: 'A://:1,B://:2'
    })
  })

  it('refuses what it does not know', async () => {
    await expect(raw(['--kafka-prot', '1'])).rejects.toThrow(SettingsError)
    await expect(raw(['-o', 'novalue'])).rejects.toThrow(/key=value/)
    await expect(raw(['--config', 'f'], 'a: [')).rejects.toThrow(SettingsError)
  })
})

describe('the plan of a node', () => {
  it('takes the shards asked for, else those of the data folder, else one per core', () => {
    const settings = (text: string): ReturnType<typeof parseBrokerSettings> =>
      parseBrokerSettings(new Map([['num.shards', text]]))
    expect(planShardCount(settings('3'), 2, 8)).toBe(3)
    expect(planShardCount(settings('0'), 2, 8)).toBe(2)
    expect(planShardCount(settings('0'), undefined, 8)).toBe(8)
    expect(planShardCount(settings('0'), undefined, 128)).toBe(16)
  })

  it('gives each shard a port of its own, or all the same one with node addressing', () => {
    const byShard = parseBrokerSettings(new Map())
    const byNode = parseBrokerSettings(new Map([['addressing', 'node']]))
    const port = (settings: typeof byShard): number | undefined =>
      shardListeners(settings, planListeners(settings, 2), 1)[0]?.port
    expect(port(byShard)).toBe(9093)
    expect(port(byNode)).toBe(9092)
  })

  it('refuses listeners whose port ranges meet', () => {
    const settings = parseBrokerSettings(new Map([['listeners', 'A://:9092,B://:9093']]))
    expect(() => planListeners(settings, 2)).toThrow(/both need port 9093/)
  })
})
