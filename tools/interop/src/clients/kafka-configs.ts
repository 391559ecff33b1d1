/** Settings that change while the broker runs, with kafka-configs; checks of `kafka-tools`. */
import { runKafkaTool } from '@milena/bench'
import { demand, type Check, type Context } from '../client.ts'

interface Said {
  readonly code: number | null
  readonly text: string
}

async function configs(context: Context, ...args: string[]): Promise<Said> {
  const { code, stdout, stderr } = await runKafkaTool('configs', ['--bootstrap-server', context.bootstrap, ...args], {
    timeoutMs: 60_000
  })
  return { code, text: stdout + stderr }
}

/** Fails unless the tool succeeds and says `words`. */
async function succeeds(context: Context, words: RegExp, ...args: string[]): Promise<string> {
  const { code, text } = await configs(context, ...args)
  demand(code === 0 && words.test(text), `${args.join(' ')}: ${text}`)
  return text
}

/** A topic of one partition, and the broker that leads it. */
async function createTopic(context: Context, stem: string): Promise<{ topic: string; broker: string }> {
  const topic = context.topic(stem)
  const server = ['--bootstrap-server', context.bootstrap]
  await runKafkaTool('topics', [...server, '--create', '--topic', topic, '--partitions', '1'], { timeoutMs: 60_000 })
  const shown = await runKafkaTool('topics', [...server, '--describe', '--topic', topic], { timeoutMs: 60_000 })
  const broker = /Leader: (\d+)/.exec(shown.stdout)?.[1]
  demand(broker !== undefined, shown.stdout + shown.stderr)
  return { topic, broker }
}

export const configChecks: readonly Check[] = [
  {
    title: 'kafka-configs changes a topic: sets, adds to lists, removes, and the broker abides by it',
    needs: ['incrementalAlterConfigs'],
    run: async context => {
      const { topic } = await createTopic(context, 'configured')
      const of = ['--entity-type', 'topics', '--entity-name', topic]
      const set = 'max.message.bytes=1000,cleanup.policy=[delete,compact]'
      await succeeds(context, /Completed updating config/, '--alter', ...of, '--add-config', set)
      const shown = await succeeds(context, /max\.message\.bytes=1000 sensitive=false/, '--describe', ...of)
      demand(shown.includes('synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=1000'), shown)
      demand(shown.includes('cleanup.policy=delete,compact'), shown)
      const load = ['--topic', topic, '--num-records', '1', '--record-size', '2000', '--throughput', '-1']
      const settings = [`bootstrap.servers=${context.bootstrap}`, 'compression.type=none']
      const sent = await runKafkaTool('producer-perf-test', [...load, '--producer-props', ...settings], {
        timeoutMs: 60_000
      })
      demand(/RecordTooLarge/.test(sent.stdout + sent.stderr), sent.stdout + sent.stderr)
      await succeeds(context, /Completed/, '--alter', ...of, '--delete-config', 'max.message.bytes,cleanup.policy')
      demand(!(await configs(context, '--describe', ...of)).text.includes('max.message.bytes'), 'still set')
    }
  },
  {
    title: 'kafka-configs changes one broker and all of them, and shows where a value comes from',
    needs: ['incrementalAlterConfigs'],
    run: async context => {
      const { topic, broker } = await createTopic(context, 'broker-configured')
      const one = ['--entity-type', 'brokers', '--entity-name', broker]
      const all = ['--entity-type', 'brokers', '--entity-default']
      const rate = 'leader.replication.throttled.rate'
      await succeeds(context, /Completed/, '--alter', ...all, '--add-config', `message.max.bytes=900000,${rate}=500`)
      await succeeds(context, /Completed/, '--alter', ...one, '--add-config', `${rate}=1000`)
      const said = `${rate}=1000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:${rate}=1000, DYNAMIC_DEFAULT_BROKER_CONFIG:${rate}=500}`
      const shown = await succeeds(context, /throttled\.rate=1000/, '--describe', ...one)
      demand(shown.includes(said), shown)
      const inherited = /max\.message\.bytes=900000 .*DYNAMIC_DEFAULT_BROKER_CONFIG:message\.max\.bytes=900000/
      await succeeds(context, inherited, '--describe', '--entity-type', 'topics', '--entity-name', topic, '--all')
      await succeeds(context, /Completed/, '--alter', ...one, '--delete-config', rate)
      await succeeds(context, /Completed/, '--alter', ...all, '--delete-config', `message.max.bytes,${rate}`)
      demand(!(await configs(context, '--describe', ...one)).text.includes(rate), 'still set')
    }
  },
  {
    title: 'kafka-configs shows all topics and all brokers when none is named',
    needs: ['listConfigResources'],
    run: async context => {
      const { topic, broker } = await createTopic(context, 'listed')
      const ofTopic = new RegExp(`configs for topic ${topic} are:`)
      await succeeds(context, ofTopic, '--describe', '--entity-type', 'topics')
      const shown = await succeeds(context, /Default configs for brokers/, '--describe', '--entity-type', 'brokers')
      demand(shown.includes(`configs for broker ${broker} are:`), shown)
      demand((shown.match(/configs for broker \d+ are:/g) ?? []).length === context.brokerCount, shown)
    }
  },
  {
    title: 'kafka-configs is told in words why a setting cannot be',
    needs: ['incrementalAlterConfigs'],
    run: async context => {
      const { topic, broker } = await createTopic(context, 'refused-config')
      const ofTopic = ['--alter', '--entity-type', 'topics', '--entity-name', topic, '--add-config']
      const ofBroker = ['--alter', '--entity-type', 'brokers', '--entity-name', broker, '--add-config']
      const refusals: [string[], string][] = [
        [[...ofTopic, 'nope=1'], 'Unknown topic config name: nope'],
        [[...ofTopic, 'retention.ms=x'], 'Invalid value x for configuration retention.ms: Not a number of type LONG'],
        [[...ofBroker, 'node.id=7'], 'Cannot update these configs dynamically: [node.id]']
      ]
      for (const [args, words] of refusals) {
        const { code, text } = await configs(context, ...args)
        demand(code !== 0 && text.includes(words), `${args.join(' ')}: ${text}`)
      }
      const { text } = await configs(context, '--describe', '--entity-type', 'topics', '--entity-name', topic)
      demand(!text.includes('retention.ms'), text)
    }
  }
]
