/** Kafka's own command-line tools, as an operator uses them. */
import { installKafka, missingForKafka, runKafkaTool, type KafkaTool } from '@milena/bench'
import { demand, type Client, type Context } from '../client.ts'
import { configChecks } from './kafka-configs.ts'
import { partitionChecks } from './kafka-partitions.ts'

async function tool(context: Context, name: KafkaTool, args: readonly string[], input = ''): Promise<string> {
  const result = await runKafkaTool(name, ['--bootstrap-server', context.bootstrap, ...args], {
    input,
    timeoutMs: 90_000
  })
  if (result.code !== 0)
    throw new Error(`kafka-${name} ${args.join(' ')} ended with ${result.code}: ${result.stdout}${result.stderr}`)
  return result.stdout
}

async function create(context: Context, stem: string, partitions = 1): Promise<string> {
  const topic = context.topic(stem)
  await tool(context, 'topics', ['--create', '--topic', topic, '--partitions', `${partitions}`])
  return topic
}

/** Sum of the log ends of all partitions. */
async function recordCount(context: Context, topic: string): Promise<number> {
  const lines = (await tool(context, 'get-offsets', ['--topic', topic])).trim().split('\n')
  return lines.reduce((sum, line) => sum + Number(line.split(':')[2]), 0)
}

function consume(context: Context, topic: string, count: number, ...more: string[]): Promise<string> {
  const args = [
    '--topic',
    topic,
    '--partition',
    '0',
    '--offset',
    'earliest',
    '--max-messages',
    `${count}`,
    '--timeout-ms',
    '20000'
  ]
  return tool(context, 'console-consumer', [...args, ...more])
}

export const kafkaTools: Client = {
  name: 'kafka-tools',
  missing: () => {
    const reason = missingForKafka()
    if (reason === null) installKafka()
    return Promise.resolve(reason)
  },
  checks: [
    {
      title: 'kafka-topics creates, lists and deletes',
      run: async context => {
        const topic = context.topic('tools')
        const made = ['--create', '--topic', topic, '--partitions', '3', '--replication-factor', '1']
        const said = await tool(context, 'topics', [...made, '--config', 'retention.ms=3600000'])
        demand(said.includes(`Created topic ${topic}`), 'not created')
        demand((await tool(context, 'topics', ['--list'])).split('\n').includes(topic), 'not listed')
        await tool(context, 'topics', ['--delete', '--topic', topic])
        demand(!(await tool(context, 'topics', ['--list'])).split('\n').includes(topic), 'still listed')
      }
    },
    {
      title: 'kafka-topics describes partitions, leaders and settings',
      needs: ['describeConfigs'],
      run: async context => {
        const topic = context.topic('described')
        await tool(context, 'topics', [
          '--create',
          '--topic',
          topic,
          '--partitions',
          '3',
          '--config',
          'retention.ms=3600000'
        ])
        const shown = await tool(context, 'topics', ['--describe', '--topic', topic])
        demand(/PartitionCount:\s*3/.test(shown) && /ReplicationFactor:\s*1/.test(shown), shown)
        demand((shown.match(/Leader: \d+/g) ?? []).length === 3, shown)
        demand(shown.includes('retention.ms=3600000'), shown)
      }
    },
    {
      title: 'kafka-topics is told in words why a topic cannot be',
      run: async context => {
        const topic = await create(context, 'refused')
        const refusals: [string[], RegExp][] = [
          [['--create', '--topic', topic], /already exists/],
          [['--create', '--topic', `${topic}-2`, '--replication-factor', '7'], /[Rr]eplication factor/],
          [['--create', '--topic', 'not/a/topic'], /invalid|illegal|legal/i]
        ]
        for (const [args, words] of refusals) {
          const result = await runKafkaTool('topics', ['--bootstrap-server', context.bootstrap, ...args], {
            timeoutMs: 60_000
          })
          demand(
            result.code !== 0 && words.test(result.stdout + result.stderr),
            `${args.join(' ')}: ${result.stdout}${result.stderr}`
          )
        }
      }
    },
    {
      title: 'console-producer and console-consumer pass keys, headers and values',
      run: async context => {
        const topic = await create(context, 'console')
        const lines = Array.from({ length: 200 }, (_, i) => `h:${i}\tkey ${i}\tvalue ${i}`)
        const properties = ['parse.key=true', 'parse.headers=true'].flatMap(each => ['--reader-property', each])
        await tool(context, 'console-producer', ['--topic', topic, ...properties], `${lines.join('\n')}\n`)
        const shown = ['print.key=true', 'print.headers=true'].flatMap(each => ['--formatter-property', each])
        const back = await consume(context, topic, 200, ...shown)
        demand(back.trim() === lines.join('\n'), `${back.slice(0, 500)}`)
      }
    },
    {
      title: 'get-offsets answers for earliest, latest, the highest timestamp and a time',
      run: async context => {
        const topic = await create(context, 'get-offsets')
        await tool(context, 'console-producer', ['--topic', topic], 'a\nb\nc\n')
        const at = async (time: string): Promise<string> =>
          (await tool(context, 'get-offsets', ['--topic', topic, '--time', time])).trim()
        demand((await at('latest')) === `${topic}:0:3`, 'latest')
        demand((await at('earliest')) === `${topic}:0:0`, 'earliest')
        demand((await at('earliest-local')) === `${topic}:0:0`, 'earliest-local')
        demand(/:0:[0-2]$/.test(await at('max-timestamp')), 'max-timestamp')
        demand((await at('1000')) === `${topic}:0:0`, 'a time before all')
      }
    },
    ...(
      [
        ['acks=all', 'enable.idempotence=true', 'compression.type=none'],
        ['acks=all', 'enable.idempotence=true', 'compression.type=zstd'],
        ['acks=1', 'enable.idempotence=false', 'compression.type=lz4'],
        ['acks=0', 'enable.idempotence=false', 'compression.type=none']
      ] as const
    ).map(properties => ({
      title: `producer-perf-test with ${properties.join(' ')}`,
      run: async (context: Context) => {
        const topic = await create(context, 'perf', 4)
        const count = 50_000
        const load = ['--topic', topic, '--num-records', `${count}`, '--record-size', '200', '--throughput', '-1']
        const settings = [`bootstrap.servers=${context.bootstrap}`, ...properties]
        const result = await runKafkaTool('producer-perf-test', [...load, '--producer-props', ...settings], {
          timeoutMs: 90_000
        })
        demand(result.code === 0 && result.stdout.includes(`${count} records sent`), result.stdout + result.stderr)
        demand(!/error|exception/i.test(result.stderr), result.stderr)
        let found = await recordCount(context, topic)
        if (properties[0] === 'acks=0' && found < count) found = await recordCount(context, topic)
        demand(found === count, `${found} of ${count} records are there`)
      }
    })),
    {
      title: 'verifiable-producer gets every record acknowledged in order',
      run: async context => {
        const topic = await create(context, 'verifiable')
        const output = await tool(context, 'verifiable-producer', [
          '--topic',
          topic,
          '--max-messages',
          '2000',
          '--acks',
          '-1'
        ])
        const events = output
          .split('\n')
          .filter(line => line.startsWith('{'))
          .map(line => JSON.parse(line) as { name: string; offset?: number })
        const offsets = events.filter(event => event.name === 'producer_send_success').map(event => event.offset)
        demand(offsets.length === 2000 && offsets.every((offset, i) => offset === i), `${offsets.length} acknowledged`)
        const back = await consume(context, topic, 2000)
        demand(back.trim() === Array.from({ length: 2000 }, (_, i) => `${i}`).join('\n'), 'the values differ')
      }
    },
    {
      title: 'broker-api-versions finds nothing that it does not understand',
      run: async context => {
        const output = await tool(context, 'broker-api-versions', [])
        demand((output.match(/^\S+:\d+ \(id: /gm) ?? []).length === context.brokerCount, output.slice(0, 300))
        demand(/Produce\(0\): .*usable: 1[1-9]/.test(output), 'Produce is older than version 11')
        demand(!output.includes('UNKNOWN'), output)
      }
    },
    {
      title: 'kafka-cluster tells the cluster id',
      run: async context => {
        const result = await runKafkaTool('cluster', ['cluster-id', '--bootstrap-server', context.bootstrap], {
          timeoutMs: 60_000
        })
        demand(result.code === 0 && /Cluster ID: \S+/.test(result.stdout), result.stdout + result.stderr)
      }
    },
    ...configChecks,
    ...partitionChecks
  ]
}
