/** kcat (librdkafka's command-line tool). It takes text, so it has checks of its own instead of the corpus. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from '@milena/bench'
import { codecs, demand, type Client, type Context } from '../client.ts'

function kcat(context: Context, args: readonly string[], input = ''): Promise<string> {
  return mustRun('kcat', ['-b', context.bootstrap, '-m', '20', ...args], { input, timeoutMs: 60_000 })
}

interface Listing {
  readonly brokers: readonly { id: number; name: string }[]
  readonly topics: readonly { topic: string; partitions: readonly { partition: number; leader: number }[] }[]
}

export const kcatClient: Client = {
  name: 'kcat',
  missing: () =>
    Promise.resolve(
      spawnSync('kcat', ['-V']).status === 0 ? null : 'kcat is not on the PATH (Debian: apt-get install kcat)'
    ),
  checks: [
    {
      title: 'lists brokers, topics and leaders',
      run: async context => {
        const topic = context.topic('kcat-list')
        await kcat(context, ['-P', '-t', topic], 'x\n')
        const listing = JSON.parse(await kcat(context, ['-L', '-J', '-t', topic])) as Listing
        demand(listing.brokers.length === context.brokerCount, `${listing.brokers.length} brokers`)
        const partitions = listing.topics.find(each => each.topic === topic)?.partitions ?? []
        demand(partitions.length === 5, `${partitions.length} partitions`)
        demand(
          partitions.every(each => listing.brokers.some(broker => broker.id === each.leader)),
          'a partition has no leader'
        )
      }
    },
    ...codecs.map(codec => ({
      title: `keys, values and headers come back, codec ${codec}`,
      run: async (context: Context) => {
        const topic = context.topic(`kcat-${codec}`)
        const lines = Array.from({ length: 500 }, (_, i) => `key ${i}:value ${i} ${'z'.repeat(i)}`)
        await kcat(
          context,
          ['-P', '-t', topic, '-p', '1', '-K:', '-z', codec, '-H', 'name=värde', '-X', 'acks=all'],
          lines.join('\n')
        )
        const format = ['-f', '%k:%s\\n']
        const back = await kcat(context, ['-C', '-t', topic, '-p', '1', '-o', 'beginning', '-e', '-q', ...format])
        demand(back === `${lines.join('\n')}\n`, 'keys and values differ')
        const headers = await kcat(context, ['-C', '-t', topic, '-p', '1', '-o', '-1', '-e', '-q', '-f', '%h %o'])
        demand(headers === 'name=värde 499', `the last record shows ${headers}`)
      }
    })),
    {
      title: 'an idempotent producer with acks=all, and producers with acks=1 and 0',
      run: async context => {
        const topic = context.topic('kcat-acks')
        for (const acks of ['acks=all', 'acks=1', 'acks=0']) {
          const idempotence = acks === 'acks=all' ? 'true' : 'false'
          await kcat(
            context,
            ['-P', '-t', topic, '-p', '0', '-X', `enable.idempotence=${idempotence}`, '-X', acks],
            `${acks}\n`
          )
        }
        const wanted = 'acks=all\nacks=1\nacks=0\n'
        let back = ''
        for (let attempt = 0; attempt < 50 && back !== wanted; attempt++)
          back = await kcat(context, ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q'])
        demand(back === wanted, JSON.stringify(back))
      }
    },
    {
      title: 'tombstones come back as null',
      run: async context => {
        const topic = context.topic('kcat-null')
        await kcat(context, ['-P', '-t', topic, '-p', '0', '-K:', '-Z'], 'gone:\nhere:x\n')
        const back = await kcat(context, [
          '-C',
          '-t',
          topic,
          '-p',
          '0',
          '-o',
          'beginning',
          '-e',
          '-q',
          '-f',
          '%k %S\\n'
        ])
        demand(back === 'gone -1\nhere 1\n', JSON.stringify(back))
      }
    },
    {
      title: 'a record of 900 KB comes back',
      run: async context => {
        const topic = context.topic('kcat-large')
        const file = join(context.dir, 'large')
        const text = 'Milena '.repeat(130_000)
        writeFileSync(file, text)
        await kcat(context, ['-P', '-t', topic, '-p', '0', '-z', 'none', file])
        const back = await kcat(context, ['-C', '-t', topic, '-p', '0', '-o', 'beginning', '-e', '-q', '-f', '%s'])
        demand(back === text, `${back.length} characters came back of ${text.length}`)
      }
    },
    {
      title: 'queries offsets by time, and reads from a time on',
      run: async context => {
        const topic = context.topic('kcat-time')
        await kcat(context, ['-P', '-t', topic, '-p', '0'], 'before\n')
        await new Promise(done => setTimeout(done, 20))
        const now = Date.now()
        await kcat(context, ['-P', '-t', topic, '-p', '0'], 'after\n')
        const found = await kcat(context, ['-Q', '-t', `${topic}:0:${now}`])
        demand(found.includes('offset 1'), found)
        demand((await kcat(context, ['-Q', '-t', `${topic}:0:-1`])).includes('offset 2'), 'the end is not 2')
        const back = await kcat(context, ['-C', '-t', topic, '-p', '0', '-o', `s@${now}`, '-e', '-q'])
        demand(back === 'after\n', JSON.stringify(back))
      }
    }
  ]
}
