import { expect, it } from 'vitest'
import { formatLine } from './log-line.ts'
import { planNodes } from './nodes.ts'

it('gives every node ports and a folder of its own, and all of them the same seeds.', () => {
  const nodes = planNodes({ nodes: 3, shards: 2, dataFolder: '/d', portOffset: 0, settings: ['a=1'] })
  expect(nodes.map(node => [node.kafkaPort, node.rpcPort, node.adminPort, node.dataFolder])).toEqual([
    [9092, 33_145, 9644, '/d/node-0'],
    [9192, 33_245, 9744, '/d/node-1'],
    [9292, 33_345, 9844, '/d/node-2']
  ])
  for (const { args } of nodes) {
    expect(args[args.indexOf('--seeds') + 1]).toBe('127.0.0.1:33145,127.0.0.1:33245,127.0.0.1:33345')
    expect(args.slice(-2)).toEqual(['-o', 'a=1'])
  }
})

it('shows a log line with its node, shard and fields, and anything else as it is.', () => {
  const line = JSON.stringify({
    level: 30,
    time: '2026-01-02T03:04:05.678Z',
    shard: 1,
    ports: [1],
    msg: 'shard serves'
  })
  expect(formatLine(2, line, false)).toBe('node 2 | 03:04:05.678 info shard 1: shard serves ports=[1]')
  expect(formatLine(0, 'Segmentation fault', false)).toBe('node 0 | Segmentation fault')
  expect(formatLine(0, '{"torn', false)).toBe('node 0 | {"torn')
})
