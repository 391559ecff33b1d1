/** Kafka's Java producer and consumer, driven by one source file that Java compiles as it starts. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installKafka, missingForKafka, runJava } from '@milena/bench'
import type { Client } from '../client.ts'

const source = join(import.meta.dirname, '../../clients/java/RoundTrip.java')

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runJava([source, ...args], { timeoutMs: 120_000 })
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr.slice(-2000)}`)
  return stdout
}

export const java: Client = {
  name: 'java',
  missing: () => {
    const reason =
      missingForKafka() ?? (spawnSync('javac', ['-version']).status === 0 ? null : 'javac is not on the PATH')
    if (reason === null) installKafka()
    return Promise.resolve(reason)
  },
  writer: {
    run: async (context, topic, file, plan) => void (await run('write', context.bootstrap, topic, file, plan))
  },
  reader: { run: (context, topics) => run('read', context.bootstrap, topics.join(',')) }
}
