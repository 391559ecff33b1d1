/** Partitions that change: more of them, and records that are deleted, with Kafka's own tools; checks of `kafka-tools`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runKafkaTool, type KafkaTool } from '@milena/bench'
import { demand, type Check, type Context } from '../client.ts'

interface Said {
  readonly code: number | null
  readonly text: string
}

async function tool(context: Context, name: KafkaTool, args: readonly string[], input = ''): Promise<Said> {
  const { code, stdout, stderr } = await runKafkaTool(name, ['--bootstrap-server', context.bootstrap, ...args], {
    input,
    timeoutMs: 60_000
  })
  return { code, text: stdout + stderr }
}

/** Fails unless the tool succeeds and says `words`. */
async function succeeds(
  context: Context,
  words: RegExp,
  name: KafkaTool,
  args: readonly string[],
  input = ''
): Promise<string> {
  const { code, text } = await tool(context, name, args, input)
  demand(code === 0 && words.test(text), `kafka-${name} ${args.join(' ')}: ${text}`)
  return text
}

async function createTopic(context: Context, stem: string): Promise<string> {
  const topic = context.topic(stem)
  await succeeds(context, /Created/, 'topics', ['--create', '--topic', topic, '--partitions', '1'])
  return topic
}

/** Deletes what is below `offset` in partition 0. */
function deleteRecords(context: Context, topic: string, offset: number): Promise<Said> {
  const file = join(context.dir, `${topic}.json`)
  writeFileSync(file, JSON.stringify({ partitions: [{ topic, partition: 0, offset }], version: 1 }))
  return tool(context, 'delete-records', ['--offset-json-file', file])
}

export const partitionChecks: readonly Check[] = [
  {
    title: 'kafka-topics adds partitions, which take records at once, and is told in words why not',
    needs: ['createPartitions'],
    run: async context => {
      const topic = await createTopic(context, 'grown')
      const alter = (count: number): string[] => ['--alter', '--topic', topic, '--partitions', `${count}`]
      await succeeds(context, /^$/, 'topics', alter(3))
      const shown = await succeeds(context, /PartitionCount:\s*3/, 'topics', ['--describe', '--topic', topic])
      demand((shown.match(/Leader: \d+/g) ?? []).length === 3, shown)
      const keyed = Array.from({ length: 60 }, (_, i) => `${i}\tvalue ${i}\n`).join('')
      const parse = ['--reader-property', 'parse.key=true']
      await succeeds(context, /^>*$/m, 'console-producer', ['--topic', topic, ...parse], keyed)
      const ends = await succeeds(context, /:2:/, 'get-offsets', ['--topic', topic])
      const counts = [...ends.matchAll(/^\S+:\d:(\d+)$/gm)].map(([, count]) => Number(count))
      demand(counts.length === 3 && counts.every(count => count > 0), ends)
      const fewer = await tool(context, 'topics', alter(2))
      const words = `The topic ${topic} currently has 3 partition(s); 2 would not be an increase.`
      demand(fewer.code !== 0 && fewer.text.includes(words), fewer.text)
    }
  },
  {
    title: 'kafka-delete-records moves the start of a partition, and not beyond its end',
    needs: ['deleteRecords'],
    run: async context => {
      const topic = await createTopic(context, 'deleted')
      const lines = Array.from({ length: 50 }, (_, i) => `${i}\n`).join('')
      await succeeds(context, /^>*$/m, 'console-producer', ['--topic', topic], lines)
      const cut = await deleteRecords(context, topic, 42)
      demand(cut.text.includes('low_watermark: 42'), cut.text)
      await succeeds(context, /:0:42$/m, 'get-offsets', ['--topic', topic, '--time', 'earliest'])
      const from = ['--topic', topic, '--partition', '0', '--offset', 'earliest', '--max-messages', '8']
      const left = await succeeds(context, /^42\n/, 'console-consumer', [...from, '--timeout-ms', '20000'])
      demand(left.startsWith('42\n43\n44\n45\n46\n47\n48\n49\n'), left)
      const beyond = await deleteRecords(context, topic, 51)
      demand(beyond.text.includes('OffsetOutOfRangeException'), beyond.text)
      const all = await deleteRecords(context, topic, -1)
      demand(all.text.includes('low_watermark: 50'), all.text)
    }
  }
]
