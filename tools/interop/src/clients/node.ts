/** The clients written in JavaScript: KafkaJS and @platformatic/kafka. Their consumers always join a group. */
import { join } from 'node:path'
import { mustRun } from '@milena/bench'
import type { Client, Feature } from '../client.ts'

function adapter(name: string, file: string, lacks: readonly Feature[]): Client {
  const path = join(import.meta.dirname, '../adapters', file)
  const run = (...args: string[]): Promise<string> =>
    mustRun(process.execPath, ['--no-warnings', path, ...args], { timeoutMs: 120_000 })
  return {
    name,
    missing: () => Promise.resolve(null),
    writer: {
      lacks,
      run: async (context, topic, corpusFile, plan) =>
        void (await run('write', context.bootstrap, topic, corpusFile, plan))
    },
    reader: { needs: ['joinGroup'], run: (context, topics) => run('read', context.bootstrap, topics.join(',')) },
    checks: [
      {
        title: 'its admin client creates, lists, describes, asks offsets of and deletes a topic',
        run: async context =>
          void (await run('admin', context.bootstrap, context.topic(`${name.replace(/\W/g, '')}-admin`)))
      }
    ]
  }
}

export const kafkaJs = adapter('kafkajs', 'kafkajs-adapter.ts', ['nullHeader', 'timestampZero'])
export const platformatic = adapter('@platformatic/kafka', 'platformatic-adapter.ts', [
  'nullHeader',
  'earlierTimestamp'
])
