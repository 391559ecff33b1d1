/**
 * What codecs cost. Run: `node --conditions=@milena/source packages/wire-protocol/src/codec/codec.bench.ts`.
 * Prints the median and the best of several rounds, and a checksum of what was decoded or encoded, so that no work can be
 * left out; the interpreter runs beside the compiled codecs for comparison.
 */
import { apis } from '../apis.ts'
import { encodeResponse } from '../frame.ts'
import type { Api } from '../schema.ts'
import { makeCodec, type CodecKind } from './codec.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const ROUNDS = 15
const ROUND_MS = 60

const topicId = 'mK9cVYzlTEO2Ypkxu3vnWQ'

const fetchRequest = {
  maxWaitMs: 500,
  minBytes: 1,
  maxBytes: 52428800,
  sessionId: 17,
  sessionEpoch: 3,
  topics: [
    {
      topicId,
      partitions: Array.from({ length: 32 }, (_, partition) => ({
        partition,
        currentLeaderEpoch: 7,
        fetchOffset: 123456789n + BigInt(partition),
        partitionMaxBytes: 1048576
      }))
    }
  ]
}

const records = new Uint8Array(16384)

const produceRequest = {
  acks: -1,
  timeoutMs: 30000,
  topicData: [{ name: 'orders', partitionData: Array.from({ length: 8 }, (_, index) => ({ index, records })) }]
}

const fetchResponse = {
  sessionId: 17,
  responses: [
    {
      topicId,
      partitions: Array.from({ length: 32 }, (_, partitionIndex) => ({
        partitionIndex,
        highWatermark: 123456789n,
        lastStableOffset: 123456789n,
        logStartOffset: 0n,
        abortedTransactions: null,
        records
      }))
    }
  ]
}

const metadataResponse = {
  brokers: [{ nodeId: 1, host: 'broker-1.example.org', port: 9092 }],
  clusterId: 'mK9cVYzlTEO2Ypkxu3vnWQ',
  controllerId: 1,
  topics: Array.from({ length: 10 }, (_, i) => ({
    name: `orders-${i}`,
    topicId,
    partitions: Array.from({ length: 12 }, (__, partitionIndex) => ({
      partitionIndex,
      leaderId: 1,
      leaderEpoch: 3,
      replicaNodes: [1, 2, 3],
      isrNodes: [1, 2, 3]
    }))
  }))
}

function measure(label: string, work: () => number): void {
  let checksum = 0
  const nanoseconds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    let count = 0
    const start = performance.now()
    let elapsed = 0
    while (elapsed < ROUND_MS) {
      for (let i = 0; i < 100; i++) checksum = (checksum + work()) | 0
      count += 100
      elapsed = performance.now() - start
    }
    nanoseconds.push((elapsed * 1e6) / count)
  }
  nanoseconds.sort((a, b) => a - b)
  const [best, median] = [nanoseconds[0] ?? 0, nanoseconds[ROUNDS >> 1] ?? 0]
  console.log(`${label.padEnd(58)} ${best.toFixed(0).padStart(8)} ${median.toFixed(0).padStart(8)}   ${checksum}`)
}

function benchDecode(
  label: string,
  api: Api,
  direction: 'request' | 'response',
  version: number,
  message: unknown
): void {
  const layout = { version, flexible: version >= api.flexibleFrom }
  for (const kind of ['compiled', 'interpreted'] as const satisfies readonly CodecKind[]) {
    const codec = makeCodec(`${api.name}V${version}`, api[direction], layout, kind)
    const writer = new Writer()
    writer.begin()
    codec.encode(writer, message)
    const bytes = Buffer.concat(writer.finish())
    const reader = new Reader(bytes)
    measure(`decode ${label}, ${kind}`, () => {
      reader.reset(bytes)
      codec.decode(reader)
      return reader.position
    })
    measure(`encode ${label}, ${kind}`, () => {
      writer.begin()
      codec.encode(writer, message)
      return writer.finish().length
    })
  }
}

console.log(`${''.padEnd(58)} ${'best ns'.padStart(8)} ${'median'.padStart(8)}   checksum`)
benchDecode('Fetch v17 request, 32 partitions', apis.fetch, 'request', 17, fetchRequest)
benchDecode('Fetch v17 response, 32 partitions', apis.fetch, 'response', 17, fetchResponse)
benchDecode('Produce v12 request, 8 partitions', apis.produce, 'request', 12, produceRequest)
benchDecode('Metadata v12 response, 120 partitions', apis.metadata, 'response', 12, metadataResponse)
measure('encodeResponse Fetch v17, 32 partitions, whole frame', () => {
  return encodeResponse(apis.fetch, 17, 1, fetchResponse).length
})
