/**
 * What the gateway alone costs: a host that drops batches and serves fetches from memory, a client in a thread of its own.
 *
 *     node --conditions=@milena/source packages/gateway/src/gateway.bench.ts [static|events]
 *
 * CPU is that of the gateway's thread only (user and system). The checksum is over sizes and codes of all answers.
 */
/* Composition root of a benchmark: starts threads, prints. */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { apis } from '@milena/wire-protocol'
import { ServedGateway } from './testing/served-gateway.ts'
import { RawClient } from './testing/raw-client.ts'
import { testBatch } from './testing/test-batch.ts'

interface Load {
  readonly title: string
  readonly requestCount: number
  readonly connectionCount: number
  /** Requests that one connection sends before it waits for an answer. */
  readonly depth: number
  readonly request: 'apiVersions' | 'produceLarge' | 'produceSmall' | 'fetch'
}

const loads: readonly Load[] = [
  {
    title: 'ApiVersions, 1 connection, 64 deep',
    requestCount: 100_000,
    connectionCount: 1,
    depth: 64,
    request: 'apiVersions'
  },
  {
    title: 'ApiVersions, 50 connections, 1 deep',
    requestCount: 100_000,
    connectionCount: 50,
    depth: 1,
    request: 'apiVersions'
  },
  {
    title: 'Produce and drop, 4 x 128 KiB, 5 deep',
    requestCount: 3_000,
    connectionCount: 1,
    depth: 5,
    request: 'produceLarge'
  },
  {
    title: 'Produce and drop, 1 KiB, 50 connections',
    requestCount: 100_000,
    connectionCount: 50,
    depth: 1,
    request: 'produceSmall'
  },
  { title: 'Fetch 4 x 1 MiB from memory, 1 deep', requestCount: 1_000, connectionCount: 1, depth: 1, request: 'fetch' }
]

function requestBytes(client: RawClient, kind: Load['request']): Buffer {
  if (kind === 'apiVersions') {
    return client.encode(apis.apiVersions, 4, { clientSoftwareName: 'bench', clientSoftwareVersion: '1' })
  }
  if (kind === 'fetch') {
    const partitions = [0, 1, 2, 3].map(partition => ({ partition, fetchOffset: 0, partitionMaxBytes: 1 << 20 }))
    return client.encode(apis.fetch, 12, { maxWaitMs: 100, minBytes: 1, topics: [{ topic: 'full', partitions }] })
  }
  const records = testBatch({ valueBytes: kind === 'produceLarge' ? 131_000 : 1024 })
  const indexes = kind === 'produceLarge' ? [0, 1, 2, 3] : [0]
  const partitionData = indexes.map(index => ({ index, records }))
  return client.encode(apis.produce, 9, { acks: -1, timeoutMs: 1000, topicData: [{ name: 'drop', partitionData }] })
}

async function runConnection(port: number, load: Load, requestCount: number): Promise<number> {
  const client = await RawClient.connect(port)
  const bytes = requestBytes(client, load.request)
  let checksum = 0
  let sent = 0
  for (; sent < Math.min(load.depth, requestCount); sent++) client.sendBytes(bytes)
  for (let answered = 0; answered < requestCount; answered++) {
    const frame = await client.nextFrame()
    if (frame === null) throw new Error('the gateway hung up')
    checksum = (Math.imul(checksum, 31) + frame.length + frame.readInt16BE(frame.length - 2)) | 0
    if (sent++ < requestCount) client.sendBytes(bytes)
  }
  client.close()
  return checksum
}

async function runClient(): Promise<void> {
  const { port, load } = workerData as { port: number; load: Load }
  const each = Math.floor(load.requestCount / load.connectionCount)
  const runs = Array.from({ length: load.connectionCount }, () => runConnection(port, load, each))
  const checksums = await Promise.all(runs)
  parentPort?.postMessage(checksums.reduce((sum, checksum) => (sum + checksum) | 0, 0))
}

async function runGateway(): Promise<void> {
  const receive = process.argv[2] === 'events' ? 'events' : 'static'
  const served = await ServedGateway.start({ receive })
  const { cluster } = served.host
  cluster.addTopic('drop', 4)
  cluster.addTopic('full', 4)
  for (let i = 0; i < 4; i++) cluster.partition('drop', i).drop = true
  const options = { acks: 1, timeoutMs: 0, apiVersion: 9, transactionalId: null } as const
  for (let i = 0; i < 40; i++)
    await cluster.partition('full', i % 4).append(testBatch({ valueBytes: 131_000 }), options)
  console.log(`receiving by ${receive}`)
  for (const load of loads) await measure(served, load)
  await served.stop()
}

async function measure(served: ServedGateway, load: Load): Promise<void> {
  const before = served.gateway.stats()
  const cpuBefore = process.threadCpuUsage()
  const start = performance.now()
  const worker = new Worker(new URL(import.meta.url), { workerData: { port: served.port, load } })
  const [checksum] = (await once(worker, 'message')) as [number]
  const seconds = (performance.now() - start) / 1000
  const cpu = process.threadCpuUsage(cpuBefore)
  const stats = served.gateway.stats()
  const cpuUs = cpu.user + cpu.system
  const requests = stats.requests - before.requests
  const megabytes = (stats.bytesReceived + stats.bytesSent - before.bytesReceived - before.bytesSent) / 1e6
  console.log(
    [
      load.title.padEnd(42),
      `${Math.round(requests / seconds)} req/s`.padEnd(14),
      `${(cpuUs / requests).toFixed(1)} us/req`.padEnd(14),
      `${Math.round(megabytes / seconds)} MB/s`.padEnd(10),
      `${Math.round(cpuUs / megabytes)} ms/GB`.padEnd(12),
      `checksum ${checksum}`
    ].join(' ')
  )
}

await (isMainThread ? runGateway() : runClient())
