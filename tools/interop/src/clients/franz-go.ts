/** franz-go: writes with an idempotent producer; reads without a group; speaks to single brokers where a check needs that. */
import { join } from 'node:path'
import { buildGo, missingForGo, mustRun } from '@milena/bench'
import { demand, Skip, type Client, type Context } from '../client.ts'

let program = ''

function run(verb: string, context: Context, ...args: string[]): Promise<string> {
  return mustRun(program, [verb, context.bootstrap, ...args], { timeoutMs: 120_000 })
}

interface Metadata {
  readonly cluster: string
  readonly controller: number
  readonly brokers: readonly { id: number; host: string; port: number }[]
  readonly topicId: string
  readonly leaders: readonly number[]
}

async function metadata(context: Context, topic: string): Promise<Metadata> {
  return JSON.parse(await run('metadata', context, topic)) as Metadata
}

/** Makes the topic the way most topics come to be: by writing to it. */
async function autoCreate(context: Context, stem: string): Promise<string> {
  const topic = context.topic(stem)
  await run('touch', context, topic)
  return topic
}

async function create(context: Context, stem: string, partitions: number): Promise<string> {
  const topic = context.topic(stem)
  await run('create', context, topic, `${partitions}`)
  return topic
}

export const franzGo: Client = {
  name: 'franz-go',
  missing: () => {
    const reason = missingForGo()
    if (reason === null) program = buildGo(join(import.meta.dirname, '../../clients/franz-go'), 'franz-go-client')
    return Promise.resolve(reason)
  },
  writer: { run: async (context, topic, file, plan) => void (await run('write', context, topic, file, plan)) },
  reader: { run: (context, topics) => run('read', context, topics.join(',')) },
  checks: [
    {
      title: 'an auto-created topic has an id, the default number of partitions, and a leader for each',
      run: async context => {
        const shown = await metadata(context, await autoCreate(context, 'auto'))
        demand(shown.leaders.length === 5, `${shown.leaders.length} partitions`)
        demand(/[1-9a-f]/.test(shown.topicId), 'the topic id is zero')
        demand(
          shown.leaders.every(leader => shown.brokers.some(broker => broker.id === leader)),
          `leaders ${shown.leaders.join(' ')}`
        )
      }
    },
    {
      title:
        'every broker in the metadata leads partitions, has an address of its own, and one of them is the controller',
      run: async context => {
        const topic = await create(context, 'leaders', 8)
        const shown = await metadata(context, topic)
        demand(
          shown.brokers.length === context.brokerCount,
          `${shown.brokers.length} brokers, not ${context.brokerCount}`
        )
        demand(new Set(shown.leaders).size === context.brokerCount, `leaders ${shown.leaders.join(' ')}`)
        demand(
          new Set(shown.brokers.map(broker => broker.port)).size === context.brokerCount,
          'two brokers share a port'
        )
        demand(
          shown.brokers.some(broker => broker.id === shown.controller),
          `the controller is ${shown.controller}`
        )
        demand(shown.cluster !== '', 'there is no cluster id')
        await run('spread', context, topic, '8')
      }
    },
    {
      title: 'a record in each of 500 partitions, written at once, comes back from each',
      run: async context => void (await run('spread', context, await create(context, 'wide', 500), '500'))
    },
    {
      title: 'a batch of exactly max.message.bytes is taken, one byte more is refused',
      run: async context => void (await run('large', context, await create(context, 'large', 1), '1048588'))
    },
    {
      title: 'ListOffsets answers every kind of timestamp',
      run: async context => void (await run('offsets', context, await create(context, 'offsets', 1)))
    },
    {
      title: 'a fetch session names only what changed',
      run: async context => {
        if (context.addressing === 'node') throw new Skip('covered with shard addressing')
        await run('sessions', context, await create(context, 'sessions', 8))
      }
    },
    {
      title: 'a deleted topic is gone, and one of the same name has a new id and no records',
      run: async context => {
        const topic = await create(context, 'again', 2)
        const before = await metadata(context, topic)
        await run('spread', context, topic, '2')
        await run('delete', context, topic)
        await run('create', context, topic, '2')
        const after = await metadata(context, topic)
        demand(before.topicId !== after.topicId, 'the id is the same')
        await run('spread', context, topic, '2')
      }
    }
  ]
}
