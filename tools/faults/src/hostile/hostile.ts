/**
 * Hostile input against a running broker: the malformed-input catalogue one case at a time, every truncation and thousands of
 * mutations of correct requests, and a thousand connections that misbehave at once. All the while a well-behaved client keeps
 * asking; the broker must answer it as before, keep its processes and stay within its memory.
 */
import type { Socket } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, logEnd, memoryBytes, processTree, startKafka, startMilena, type Peer } from '@milena/bench'
import type { Random } from '../random.ts'
import { demand, type Scenario, type ScenarioContext } from '../scenario.ts'
import { apiVersions, Bytes, createTopic, fetch, metadata } from './bytes.ts'
import type { HostileCase } from './case.ts'
import { exchange, GoodClient, nextAnswer, open, type Outcome } from './connection.ts'
import { batchCases, readCases, topicCases } from './data-cases.ts'
import { frameCases, goldenRequests } from './frame-cases.ts'

const answerMsMax = 1000
const growthBytesMax = 256 * 2 ** 20
/** A good client's p99 may double, or reach this on a machine that is busy with the attack itself. */
const goodLatencyMsMax = 250
const mutationCount = 20_000
/** A case that hangs hangs every time; one that met a machine that stood still does not. */
const triesMax = 3
/** How often the delay of our own loop is sampled, ms; a sample on time has this value. */
const SAMPLE_MS = 10

/** What the broker says to be compared with what it may say. Null when it is fine. */
function judge(each: HostileCase, outcome: Outcome): string | null {
  if (outcome.kind === 'silent') return `no answer within ${answerMsMax} ms`
  if (outcome.kind === 'closed')
    return each.allowed.includes('close') ? null : `the connection was closed, not ${each.allowed.join(' or ')}`
  if (each.allowed.includes('answer')) return null
  if (each.errorAt === undefined)
    return `an answer of ${outcome.content.length} bytes, not ${each.allowed.join(' or ')}`
  const code = each.errorAt(outcome.content)
  return each.allowed.includes(code) ? null : `error ${code}, not ${each.allowed.join(' or ')}`
}

async function start(context: ScenarioContext): Promise<Peer> {
  const dir = `${context.dir}/broker`
  const peer = await (context.target === 'kafka'
    ? startKafka({ dir })
    : startMilena({ dir, shardCount: context.shardCount }))
  const made = await exchange(peer.port, createTopic('target', { partitions: 1 }), 20_000)
  demand(made.kind === 'answer', 'the topic to aim at cannot be made')
  return peer
}

/** Port of the broker that leads partition 0 of the target: with a port for each shard, hostile bytes must reach the right one. */
async function leaderPort(peer: Peer): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++, await sleep(50)) {
    const outcome = await exchange(peer.port, metadata(['target']), 5000)
    demand(outcome.kind === 'answer', 'no metadata')
    const port = leaderIn(outcome.content)
    if (port !== null) return port
  }
  throw new Error('the target has no leader')
}

/** Metadata 4: correlation id, throttle, brokers [id, host, port, rack], cluster, controller, topics [error, name, internal, partitions]. */
function leaderIn(content: Buffer): number | null {
  let at = 8
  const int32 = (): number => content.readInt32BE((at += 4) - 4)
  const string = (): void => {
    at += 2 + Math.max(0, content.readInt16BE(at))
  }
  const ports = new Map<number, number>()
  for (let left = int32(); left > 0; left--) {
    const id = int32()
    string()
    ports.set(id, int32())
    string()
  }
  string()
  at += 4 + 4
  const error = content.readInt16BE(at)
  at += 2
  string()
  at += 1
  if (error !== 0 || int32() === 0) return null
  at += 2 + 4
  return ports.get(int32()) ?? null
}

/** Runs the attack beside a good client and checks processes, memory and the good client's latency. Resolves with words for the summary. */
async function besideAGoodClient(
  context: ScenarioContext,
  attack: (peer: Peer, port: number) => Promise<string>
): Promise<string> {
  const peer = await start(context)
  try {
    const port = await leaderPort(peer)
    const calm = await GoodClient.start(port, fetch())
    await sleep(2000)
    const calmP99 = await calm.stop()
    const members = processTree(peer.rootPid)
    const before = memoryBytes(members).pss
    let peak = before
    const delays = monitorEventLoopDelay({ resolution: SAMPLE_MS })
    delays.enable()
    const watch = setInterval(() => (peak = Math.max(peak, memoryBytes(members).pss)), 200)
    const good = await GoodClient.start(port, fetch())
    let words: string
    try {
      words = await attack(peer, port)
    } finally {
      clearInterval(watch)
    }
    const underFire = await good.stop()
    delays.disable()
    // The attack runs in this process, too: what it waited for itself, to send and to hear, is not the broker's.
    const ownDelay = 2 * Math.max(0, delays.percentile(99) / 1e6 - SAMPLE_MS)
    demand(members.every(isAlive), 'a process of the broker died')
    const grown = peak - before
    const figures = `good client p99 ${calmP99.toFixed(1)} ms before, ${underFire.toFixed(1)} ms during, of it at most ${ownDelay.toFixed(1)} ms our own; memory +${(grown / 2 ** 20).toFixed(0)} MiB`
    context.say(figures)
    demand(grown < growthBytesMax, `memory grew by ${(grown / 2 ** 20).toFixed(0)} MiB`)
    demand(underFire - ownDelay < Math.max(2 * calmP99, goodLatencyMsMax), `the good client suffers: ${figures}`)
    return `${words}; ${figures}`
  } catch (error) {
    context.say(`end of the broker's log:\n${logEnd(peer.logFile)}`)
    throw error
  } finally {
    await peer.remove()
  }
}

async function runCatalogue(context: ScenarioContext, port: number): Promise<{ count: number; faults: string[] }> {
  const faults: string[] = []
  let count = 0
  for (const each of [...frameCases, ...batchCases, ...readCases, ...topicCases]) {
    if (context.target === 'kafka' && each.notKafka !== undefined) continue
    count++
    const withinMs = answerMsMax * (context.target === 'kafka' ? 10 : 1)
    let outcome = await exchange(port, each.bytes, withinMs)
    for (let tries = 1; outcome.kind === 'silent' && tries < triesMax; tries++)
      outcome = await exchange(port, each.bytes, withinMs)
    const fault = judge(each, outcome)
    if (fault !== null) faults.push(`${each.name}: ${fault}`)
    const alive = await exchange(port, apiVersions(), answerMsMax * 5)
    demand(alive.kind === 'answer', `after "${each.name}" the broker answers nobody`)
  }
  return { count, faults }
}

/** Cases that need more than one exchange. */
async function runConnectionCases(port: number): Promise<string[]> {
  const faults: string[] = []
  const golden = await exchange(port, apiVersions())
  demand(golden.kind === 'answer', 'ApiVersions is not answered')

  const halfClosed = await open(port)
  const answer = nextAnswer(halfClosed, 1, 5 * answerMsMax)
  halfClosed.end(apiVersions())
  if ((await answer).kind !== 'answer') faults.push('a client that closes its side after the request gets no answer')

  const reset = await open(port)
  reset.write(apiVersions().subarray(0, 9))
  await sleep(20)
  reset.resetAndDestroy()

  const whole = apiVersions()
  const dribbled = await open(port)
  const late = nextAnswer(dribbled, 1, 20_000)
  for (const byte of whole) {
    dribbled.write(Buffer.from([byte]))
    await sleep(1)
  }
  const dribbledAnswer = await late
  if (dribbledAnswer.kind !== 'answer' || !dribbledAnswer.content.equals(golden.content))
    faults.push('a request sent byte by byte gets another answer')
  dribbled.destroy()

  const many = await open(port)
  const count = 100_000
  const last = nextAnswer(many, count, 60_000)
  const numbered = Buffer.concat(Array.from({ length: 1000 }, () => apiVersions()))
  for (let i = 0; i < count / 1000; i++) many.write(numbered)
  if ((await last).kind !== 'answer') faults.push(`${count} requests sent without waiting are not all answered`)
  many.destroy()
  return faults
}

/** Every truncation of every golden request, with a size prefix that agrees: an answer or an end, but no waiting. */
async function runTruncations(port: number): Promise<{ count: number; faults: string[] }> {
  const work = Object.entries(goldenRequests).flatMap(([name, bytes]) =>
    Array.from({ length: bytes.length - 4 }, (_, length) => ({
      name: `${name} cut to ${length} bytes`,
      bytes: cut(bytes, length)
    }))
  )
  const faults: string[] = []
  await inParallel(work, 16, async ({ name, bytes }) => {
    if ((await exchange(port, bytes, answerMsMax * 5)).kind === 'silent')
      faults.push(`${name}: neither answered nor closed`)
  })
  return { count: work.length, faults }
}

function cut(bytes: Buffer, length: number): Buffer {
  return new Bytes()
    .int32(length)
    .raw(bytes.subarray(4, 4 + length))
    .end()
}

/** Mutated requests; a mutated Fetch may ask to wait, so silence is no fault here, only what it does to others. */
async function runMutations(port: number, random: Random): Promise<number> {
  const golden = Object.values(goldenRequests)
  const work = Array.from({ length: mutationCount }, () =>
    mutate(golden[random.between(0, golden.length)] ?? apiVersions(), random)
  )
  await inParallel(work, 32, async bytes => void (await exchange(port, bytes, 150)))
  return work.length
}

function mutate(golden: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(golden)
  const extremes = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 0x7fff, 0x10000]
  for (let changes = random.between(1, 4); changes > 0; changes--) {
    const at = random.between(4, bytes.length)
    if (random.chance(0.5)) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 8))
    else if (random.chance(0.5)) bytes[at] = random.between(0, 256)
    else if (at + 4 <= bytes.length) bytes.writeInt32BE(extremes[random.between(0, extremes.length)] ?? 0, at)
  }
  return random.chance(0.1) ? cut(bytes, random.between(0, bytes.length - 4)) : bytes
}

async function inParallel<T>(work: readonly T[], width: number, run: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const lanes = Array.from({ length: width }, async () => {
    for (let item = work[next++]; item !== undefined; item = work[next++]) await run(item)
  })
  await Promise.all(lanes)
}

export const hostileInput: Scenario = {
  name: 'hostile-input',
  title: 'malformed requests get the error they deserve or the end of their connection, and nobody else notices',
  rounds: 1,
  missing: () => null,
  run: context =>
    besideAGoodClient(context, async (_, port) => {
      const catalogue = await runCatalogue(context, port)
      const truncated = await runTruncations(port)
      const faults = [...catalogue.faults, ...(await runConnectionCases(port)), ...truncated.faults]
      const mutations = await runMutations(port, context.random)
      for (const fault of faults) context.say(fault)
      demand(
        faults.length === 0,
        `${faults.length} of ${catalogue.count + truncated.count} cases are not as they should be`
      )
      return `${catalogue.count} cases, ${truncated.count} truncations, ${mutations} mutations`
    })
}

const hostileConnectionCount = 1000

export const hostileConnections: Scenario = {
  name: 'hostile-connections',
  title: 'a thousand connections that announce much, send little or never read cost others nothing',
  rounds: 1,
  missing: ({ target }) =>
    target === 'kafka' ? 'Kafka allocates what a client announces, and runs out of memory' : null,
  run: context =>
    besideAGoodClient(context, async (_, port) => {
      const sockets: Socket[] = []
      const flood = Buffer.concat(Array.from({ length: 200 }, () => metadata(null)))
      const attacks: ((socket: Socket) => void)[] = [
        socket => socket.write(Buffer.concat([new Bytes().int32(104_857_600).end(), Buffer.alloc(1024)])),
        socket => socket.write(Buffer.from([0, 0])),
        socket => {
          socket.pause()
          socket.write(flood)
        },
        socket => socket.write(fetch({ maxWaitMs: 2 ** 31 - 1, minBytes: 2 ** 31 - 1 })),
        socket => socket.write(Buffer.from(Array.from({ length: 300 }, () => context.random.between(0, 256))))
      ]
      try {
        for (let i = 0; i < hostileConnectionCount; i++) {
          const socket = await open(port)
          sockets.push(socket)
          attacks[i % attacks.length]?.(socket)
        }
        await sleep(5000)
        const outcome = await exchange(port, apiVersions(), answerMsMax)
        demand(outcome.kind === 'answer', 'a new client is not served')
        return `${sockets.length} connections at once`
      } finally {
        for (const socket of sockets) socket.destroy()
      }
    })
}
