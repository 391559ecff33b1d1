/**
 * `npm run test:interop`: unmodified Kafka clients against a running broker.
 *
 * Starts the broker on free ports, lets every client write the corpus (corpus.ts) with every codec to a topic that comes to be by
 * being written to, stops the broker in two ways, and lets every client read what every client wrote: byte for byte, in order,
 * with keys, headers and timestamps. Then each client's own checks. All checks must hold for Apache Kafka too (--target kafka).
 *
 *   --target milena|kafka    the broker (milena)          --only NAMES        clients, comma separated
 *   --addressing shard|node|both (both; kafka has one)    --shards N          shards of Milena (2)
 *   --list                   clients and their checks     --keep              leave data and logs behind
 *
 * Clients that are not installed are skipped, with what is missing. Exit code 0 when nothing failed.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { logEnd, repositoryDir, startKafka, startMilena, type Peer } from '@milena/bench'
import { codecs, optionalApis, type ApiKey, type Client, type Context } from './client.ts'
import { franzGo } from './clients/franz-go.ts'
import { java } from './clients/java.ts'
import { kafkaTools } from './clients/kafka-tools.ts'
import { kcatClient } from './clients/kcat.ts'
import { kafkaJs, platformatic } from './clients/node.ts'
import { aiokafka, confluentPython, kafkaPython } from './clients/python.ts'
import { corpusWithout, firstDifference, parseRecords, renderCorpus, type CorpusRecord } from './corpus.ts'
import { offeredApis } from './offered-apis.ts'
import { Tally } from './tally.ts'

/** All clients; one line each. */
const clients: readonly Client[] = [
  franzGo,
  java,
  kafkaTools,
  kcatClient,
  kafkaJs,
  platformatic,
  confluentPython,
  kafkaPython,
  aiokafka
]

/** With node addressing only these run: one of each kind of partition routing. */
const nodeAddressingClients: readonly Client[] = [franzGo, java, kcatClient, kafkaJs]

const { values: flags } = parseArgs({
  options: {
    target: { type: 'string', default: 'milena' },
    only: { type: 'string' },
    addressing: { type: 'string', default: 'both' },
    shards: { type: 'string', default: '2' },
    list: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false }
  }
})

interface Written {
  readonly client: string
  readonly topic: string
  readonly records: readonly CorpusRecord[]
  readonly codecs: readonly string[]
}

/** Every client writes; topics are made by the first record. */
async function writeAll(context: Context, present: readonly Client[], tally: Tally): Promise<Written[]> {
  const all: Written[] = []
  for (const { name, writer } of present) {
    if (writer === undefined) continue
    const topic = context.topic(`written-${name.replace(/\W/g, '')}`)
    const records = corpusWithout(writer.lacks ?? [])
    const file = join(context.dir, `${topic}.ndjson`)
    writeFileSync(file, renderCorpus(records))
    const used = writer.codecs ?? codecs
    const plan = used.map(codec => `${codec}=${codecs.indexOf(codec)}`).join(',')
    const done = await tally.check(name, `writes ${records.length} records with each of ${used.join(' ')}`, () =>
      writer.run(context, topic, file, plan)
    )
    if (done) all.push({ client: name, topic, records, codecs: used })
  }
  return all
}

/** Every client reads what every client wrote; one check a pair. */
async function readAll(
  context: Context,
  present: readonly Client[],
  written: readonly Written[],
  offered: ReadonlySet<number>,
  tally: Tally
): Promise<void> {
  for (const { name, reader } of present) {
    if (reader === undefined || written.length === 0) continue
    const lacking = lackingApis(reader.needs, offered)
    if (lacking !== null) {
      tally.skip(name, 'reads what all clients wrote', lacking)
      continue
    }
    let lines = parseRecords('')
    const title = `reads ${written.length} topics to their ends`
    if (
      !(await tally.check(
        name,
        title,
        async () =>
          void (lines = parseRecords(
            await reader.run(
              context,
              written.map(each => each.topic)
            )
          ))
      ))
    )
      continue
    for (const { client, topic, records, codecs: used } of written) {
      await tally.check(name, `gets from ${client} what was sent: ${used.join(' ')}`, () => {
        for (const codec of used) {
          const partition = codecs.findIndex(each => each === codec)
          const difference = firstDifference(
            records,
            lines.filter(line => line.topic === topic && line.partition === partition)
          )
          if (difference !== null) throw new Error(`${codec}: ${difference}`)
        }
        return Promise.resolve()
      })
    }
  }
}

/** Which of the APIs that a client cannot do without the broker does not offer, in words; null when it has all. */
function lackingApis(needs: readonly ApiKey[] | undefined, offered: ReadonlySet<number>): string | null {
  const lacking = (needs ?? []).filter(name => !offered.has(optionalApis[name]))
  return lacking.length === 0 ? null : `the broker does not offer ${lacking.join(' and ')}`
}

async function restart(peer: Peer, tally: Tally): Promise<void> {
  await tally.check(peer.name, 'stops and starts again on its data', async () => {
    await peer.stop()
    await peer.start()
  })
  await tally.check(peer.name, 'starts again on its data after SIGKILL to all of its processes', async () => {
    await peer.kill()
    await peer.start()
  })
}

async function start(target: string, addressing: Context['addressing'], dir: string): Promise<Peer> {
  const settings = { 'num.partitions': '5', 'auto.create.topics.enable': 'true' }
  if (target === 'kafka') return startKafka({ dir, settings })
  const more = addressing === 'node' ? { addressing: 'node' } : {}
  return startMilena({ dir, settings: { ...settings, ...more }, shardCount: Number(flags.shards) })
}

async function run(addressing: Context['addressing'], chosen: readonly Client[], tally: Tally): Promise<void> {
  const dir = join(repositoryDir, 'tmp/interop', addressing)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  const failedBefore = tally.failed
  const peer = await start(flags.target, addressing, join(dir, flags.target))
  try {
    let topicNumber = 0
    const context: Context = {
      ...{ peer, bootstrap: peer.bootstrap, addressing, dir },
      brokerCount: flags.target === 'kafka' || addressing === 'node' ? 1 : Number(flags.shards),
      topic: stem => `${stem}-${++topicNumber}`
    }
    const present: Client[] = []
    for (const client of chosen) {
      const missing = await client.missing()
      if (missing === null) present.push(client)
      else tally.skip(client.name, 'everything', missing)
    }
    const offered = await offeredApis(peer.port)
    const written = await writeAll(context, present, tally)
    await restart(peer, tally)
    await readAll(context, present, written, offered, tally)
    for (const { name, checks } of present) {
      for (const check of checks ?? []) {
        const lacking = lackingApis(check.needs, offered)
        if (lacking !== null) tally.skip(name, check.title, lacking)
        else await tally.check(name, check.title, () => check.run(context))
      }
    }
  } finally {
    if (tally.failed > failedBefore) console.log(`\nend of the broker's log:\n${logEnd(peer.logFile, 15)}\n`)
    if (flags.keep) await peer.stop()
    else {
      await peer.remove()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}

async function main(): Promise<number> {
  const names = flags.only?.split(',')
  const unknown = names?.filter(name => !clients.some(client => client.name === name)) ?? []
  if (unknown.length > 0)
    throw new Error(`unknown clients ${unknown.join(', ')}; there are ${clients.map(client => client.name).join(', ')}`)
  const chosen = clients.filter(client => names === undefined || names.includes(client.name))
  if (flags.list) {
    for (const client of chosen) {
      const roles = [client.writer && 'writes', client.reader && 'reads'].filter(Boolean).join(' and ')
      console.log(`${client.name}${roles === '' ? '' : `: ${roles} the corpus`}`)
      for (const check of client.checks ?? []) console.log(`  ${check.title}`)
    }
    return 0
  }
  const tally = new Tally()
  const modes = flags.target === 'kafka' ? (['shard'] as const) : (['shard', 'node'] as const)
  for (const mode of modes) {
    if (flags.addressing !== 'both' && flags.addressing !== mode) continue
    tally.section(flags.target === 'kafka' ? 'Apache Kafka' : `Milena, ${mode} addressing, ${flags.shards} shards`)
    try {
      await run(
        mode,
        mode === 'shard' ? chosen : chosen.filter(client => nodeAddressingClients.includes(client)),
        tally
      )
    } catch (error) {
      tally.fail(flags.target, 'runs', error)
    }
  }
  tally.summary()
  return tally.failed > 0 ? 1 : 0
}

process.exitCode = await main()
