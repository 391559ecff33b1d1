import { apis, errorCode } from '@milena/wire-protocol'
import { afterEach, describe, expect, test } from 'vitest'
import type { GatewaySettings } from '../settings.ts'
import { MemoryHost } from '../testing/memory-host.ts'
import type { RawClient } from '../testing/raw-client.ts'
import { ServedGateway } from '../testing/served-gateway.ts'
import { testBatch } from '../testing/test-batch.ts'

const software = { clientSoftwareName: 'test', clientSoftwareVersion: '1' }

let served: ServedGateway
afterEach(() => served.stop())

async function start(settings: Partial<GatewaySettings> = {}): Promise<RawClient> {
  served = await ServedGateway.start(settings)
  served.host.cluster.addTopic('a', 2)
  return served.connect()
}

function produceBytes(client: RawClient, valueBytes: number, acks = 1): Buffer {
  const records = testBatch({ valueBytes })
  return client.encode(apis.produce, 9, { acks, topicData: [{ name: 'a', partitionData: [{ index: 0, records }] }] })
}

async function producedCode(client: RawClient): Promise<number | undefined> {
  const frame = await client.nextFrame()
  if (frame === null) throw new Error('closed')
  return client.decode(apis.produce, 9, frame).responses[0]?.partitionResponses[0]?.errorCode
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000
  while (!condition() && performance.now() < endMs) await pause(1)
  expect(condition()).toBe(true)
}

/** `counted` reaches `count` and stays there. */
async function untilNoMoreThan(count: number, counted: () => number): Promise<void> {
  await until(() => counted() >= count)
  await pause(50)
  expect(counted()).toBe(count)
}

describe.each(['static', 'events'] as const)('receiving by %s', receive => {
  test('a request split at any byte is answered as if it had come in one piece', async () => {
    const client = await start({ receive })
    const partitions = [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1000 }]
    const golden = [
      client.encode(apis.apiVersions, 0, {}),
      client.encode(apis.apiVersions, 4, software),
      client.encode(apis.metadata, 12, { topics: [{ name: 'a' }] }),
      client.encode(apis.fetch, 12, { minBytes: 0, topics: [{ topic: 'a', partitions }] }),
      client.encode(apis.listOffsets, 7, {
        topics: [{ name: 'a', partitions: [{ partitionIndex: 0, timestamp: -1n }] }]
      }),
      client.encode(apis.findCoordinator, 6, { coordinatorKeys: ['g'] }),
      client.encode(apis.describeCluster, 2, {})
    ]
    for (const bytes of golden) {
      client.sendBytes(bytes)
      const whole = await client.nextFrame()
      for (let at = 1; at < bytes.length; at++) {
        client.sendBytes(bytes.subarray(0, at))
        await new Promise(resolve => setImmediate(resolve))
        client.sendBytes(bytes.subarray(at))
        expect(Buffer.compare((await client.nextFrame()) as Buffer, whole as Buffer)).toBe(0)
      }
    }
    const produce = produceBytes(client, 20)
    for (let at = 1; at < produce.length; at++) {
      client.sendBytes(produce.subarray(0, at))
      await new Promise(resolve => setImmediate(resolve))
      client.sendBytes(produce.subarray(at))
      expect(await producedCode(client)).toBe(0)
    }
    expect(served.host.cluster.partition('a', 0).highWatermark).toBe(produce.length - 1)
  })

  test('many requests in one segment are answered in order', async () => {
    const client = await start({ receive })
    const frames = Array.from({ length: 500 }, () => client.encode(apis.metadata, 12, { topics: [] }))
    client.sendBytes(Buffer.concat(frames))
    for (let i = 1; i <= 500; i++) expect((await client.nextFrame())?.readInt32BE(0)).toBe(i)
  })

  test('requests of all sizes arrive whole when they follow each other closely', async () => {
    const client = await start({ receive })
    const sizes = [10, 300_000, 5, 100_000, 1_000_000, 20, 600_000, 600_000, 70_000, 3_000_000, 1]
    for (const size of sizes) client.sendBytes(produceBytes(client, size))
    for (const _ of sizes) expect(await producedCode(client)).toBe(0)
    const found = await client.request(apis.fetch, 12, {
      maxBytes: 1 << 30,
      topics: [{ topic: 'a', partitions: [{ partition: 0, fetchOffset: 0n, partitionMaxBytes: 1 << 30 }] }]
    })
    const sent = Buffer.concat(sizes.map(size => testBatch({ valueBytes: size })))
    expect(found.responses[0]?.partitions[0]?.records?.length).toBe(sent.length)
  })

  test('100,000 pipelined ApiVersions are answered in order with bounded memory', async () => {
    const client = await start({ receive })
    const count = 100_000
    const one = client.encode(apis.apiVersions, 0, {})
    const chunk = Buffer.concat(Array.from({ length: 1000 }, () => one))
    let most = 0
    const watch = setInterval(() => {
      const stats = served.gateway.stats()
      most = Math.max(most, stats.receiveBufferBytes + stats.requestBytesInFlight)
    }, 1)
    for (let sent = 0; sent < count; sent += 1000) client.sendBytes(chunk)
    for (let i = 0; i < count; i++) if ((await client.nextFrame()) === null) throw new Error(`closed after ${i}`)
    clearInterval(watch)
    expect(most).toBeLessThan(2 << 20)
    expect(served.gateway.stats().requests).toBe(count)
  })

  test('a client that never reads is read no further, and closed after the stall timeout', async () => {
    const client = await start({ receive, outputStallTimeoutMs: 300, outputQueueBytesMax: 256 * 1024 })
    served.host.cluster.addTopic('wide', 1000)
    client.socket.pause()
    const one = client.encode(apis.metadata, 12, { topics: [{ name: 'wide' }] })
    const sent = 20_000
    for (let i = 0; i < sent; i++) client.sendBytes(one)
    await until(() => served.gateway.stats().connectionCount === 0)
    expect(served.gateway.stats().requests).toBeLessThan(sent / 4)
    expect(served.gateway.stats().receiveBufferBytes).toBe(0)
  })

  test('a connection gives its buffer back when it is idle, again and again, and receives as before', async () => {
    const client = await start({ receive })
    for (let round = 0; round < 2; round++) {
      for (const size of [300_000, 300_000, 500_000, 500_000]) client.sendBytes(produceBytes(client, size))
      for (let i = 0; i < 4; i++) expect(await producedCode(client)).toBe(0)
      expect(served.gateway.stats().receiveBufferBytes).toBeGreaterThan(0)
      await until(() => served.gateway.stats().receiveBufferBytes === 0)
    }
    const other = await served.connect()
    other.sendBytes(produceBytes(other, 500_000).subarray(0, 300_000))
    for (const size of [10, 300_000]) {
      client.sendBytes(produceBytes(client, size))
      expect(await producedCode(client)).toBe(0)
    }
  })

  test('a half-closed client still gets its answers, then our end closes', async () => {
    served = await ServedGateway.start({ receive })
    served.host.cluster.addTopic('a', 2)
    const client = await served.connect({ allowHalfOpen: true })
    const partition = served.host.cluster.partition('a', 0)
    partition.holdAppends()
    client.socket.end(produceBytes(client, 100))
    await until(() => partition.appends.length === 1)
    await pause(20)
    partition.releaseAppends()
    expect(await producedCode(client)).toBe(0)
    expect(await client.nextFrame()).toBeNull()
    await until(() => served.gateway.stats().connectionCount === 0)
  })

  test('a reset in the middle of a request frees everything', async () => {
    const client = await start({ receive })
    client.sendBytes(produceBytes(client, 500_000).subarray(0, 400_000))
    await until(() => served.gateway.stats().receiveBufferBytes > 0)
    client.socket.resetAndDestroy()
    await until(() => served.gateway.stats().connectionCount === 0)
    expect(served.gateway.stats()).toMatchObject({ receiveBufferBytes: 0, requestBytesInFlight: 0 })
  })

  test('a closed admission holds up Produce and nothing else, and lets it through when it opens', async () => {
    const client = await start({ receive })
    served.host.admission.close()
    expect((await client.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
    expect((await client.request(apis.metadata, 12, { topics: [] })).topics).toEqual([])
    for (let i = 0; i < 50; i++) client.sendBytes(produceBytes(client, 20_000))
    await pause(50)
    expect(served.host.cluster.partition('a', 0).appends).toHaveLength(0)
    expect(served.gateway.stats().receiveBufferBytes).toBeLessThan(1 << 20)
    served.host.admission.reopen()
    for (let i = 0; i < 50; i++) expect(await producedCode(client)).toBe(0)
  })

  test('when the request budget is spent, further requests wait until it is not', async () => {
    const client = await start({ receive, queuedRequestBytesMax: 50_000 })
    const other = await served.connect()
    const partition = served.host.cluster.partition('a', 0)
    partition.holdAppends()
    for (let i = 0; i < 4; i++) client.sendBytes(produceBytes(client, 20_000))
    for (let i = 0; i < 4; i++) other.sendBytes(produceBytes(other, 20_000))
    await untilNoMoreThan(2, () => partition.appends.length)
    partition.releaseAppends()
    for (let i = 0; i < 4; i++) expect([await producedCode(client), await producedCode(other)]).toEqual([0, 0])
    expect(served.gateway.stats().requestBytesInFlight).toBe(0)
  })
})

test('one request larger than the whole budget is served nevertheless', async () => {
  const client = await start({ queuedRequestBytesMax: 1000, receiveBufferBytesMax: 256 * 1024 })
  client.sendBytes(produceBytes(client, 2_000_000))
  expect(await producedCode(client)).toBe(0)
})

test('half-received requests of many connections stay within the memory budget, and all complete in the end', async () => {
  const first = await start({ receiveBufferBytesMax: 1 << 20 })
  const clients = [first, ...(await Promise.all(Array.from({ length: 7 }, () => served.connect())))]
  const whole = produceBytes(first, 900_000)
  for (const client of clients) client.sendBytes(whole.subarray(0, 500_000))
  await pause(50)
  expect(served.gateway.stats().receiveBufferBytes).toBeLessThanOrEqual(3 << 20)
  for (const client of clients) client.sendBytes(whole.subarray(500_000))
  for (const client of clients) expect(await producedCode(client)).toBe(0)
})

test('at most the configured number of requests of one connection run at a time', async () => {
  const client = await start({ inFlightRequestsMax: 3 })
  const partition = served.host.cluster.partition('a', 0)
  partition.holdAppends()
  for (let i = 0; i < 10; i++) client.sendBytes(produceBytes(client, 10))
  await untilNoMoreThan(3, () => partition.appends.length)
  partition.releaseAppends()
  for (let i = 0; i < 10; i++) expect(await producedCode(client)).toBe(0)
})

test('a request behind one that waits starts only when that one is answered, unless both are pipelined', async () => {
  const client = await start()
  const fetch = {
    maxWaitMs: 600_000,
    minBytes: 1,
    topics: [{ topic: 'a', partitions: [{ partition: 1, partitionMaxBytes: 1 }] }]
  }
  const [first, second] = [0, 1].map(index => served.host.cluster.partition('a', index))
  client.sendBytes(client.encode(apis.fetch, 12, fetch))
  client.sendBytes(produceBytes(client, 10))
  await until(() => second?.watcherCount === 1)
  await pause(30)
  expect(first?.appends).toHaveLength(0)
  const producer = await served.connect()
  const topicData = [{ name: 'a', partitionData: [{ index: 1, records: testBatch() }] }]
  await producer.request(apis.produce, 9, { acks: 1, topicData })
  expect((await client.nextFrame())?.readInt32BE(0)).toBe(1)
  expect(await producedCode(client)).toBe(0)
})

test('connections above max.connections and max.connections.per.ip are closed on accept, others stay', async () => {
  for (const settings of [{ maxConnections: 3 }, { maxConnectionsPerIp: 3 }]) {
    const first = await start(settings)
    const more = await Promise.all([served.connect(), served.connect()])
    const tooMany = await served.connect()
    expect(await tooMany.nextFrame()).toBeNull()
    for (const client of [first, ...more]) {
      expect((await client.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
    }
    expect(served.gateway.stats()).toMatchObject({ connectionCount: 3, connectionsRefused: 1 })
    more[0]?.close()
    await until(() => served.gateway.stats().connectionCount === 2)
    const next = await served.connect()
    expect((await next.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
    await served.stop()
  }
})

test('limits of connections that the host changes hold for the next one', async () => {
  const limits = { maxConnections: 2, maxConnectionsPerIp: 2 }
  const host = Object.assign(new MemoryHost(), { connectionLimits: () => limits })
  served = await ServedGateway.start({}, host)
  await Promise.all([served.connect(), served.connect()])
  expect(await (await served.connect()).nextFrame()).toBeNull()
  limits.maxConnections = limits.maxConnectionsPerIp = 3
  const next = await served.connect()
  expect((await next.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
  limits.maxConnections = 1
  expect(await (await served.connect()).nextFrame()).toBeNull()
  expect((await next.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
})

test('an idle connection is closed after connections.max.idle.ms, a busy one is not', async () => {
  const idle = await start({ connectionsMaxIdleMs: 1000 })
  const busy = await served.connect()
  for (let i = 0; i < 200 && !idle.closed; i++) {
    await busy.request(apis.apiVersions, 4, software)
    await pause(30)
  }
  expect(idle.closed).toBe(true)
  expect(busy.closed).toBe(false)
})

test('a handler that fails answers UNKNOWN_SERVER_ERROR and the connection goes on', async () => {
  const client = await start()
  served.host.cluster.deleteTopics = () => Promise.reject(new Error('no controller'))
  const { responses } = await client.request(apis.deleteTopics, 6, { topics: [{ name: 'a' }] })
  expect(responses[0]?.errorCode).toBe(errorCode('UNKNOWN_SERVER_ERROR'))
  expect((await client.request(apis.apiVersions, 4, software)).errorCode).toBe(0)
  expect(served.gateway.stats().handlerErrors).toBe(1)
})

test('a draining gateway answers what it started, and waiting fetches at once', async () => {
  const client = await start()
  const partition = served.host.cluster.partition('a', 0)
  const fetch = {
    maxWaitMs: 60_000,
    minBytes: 1,
    topics: [{ topic: 'a', partitions: [{ partition: 0, partitionMaxBytes: 1 }] }]
  }
  const waiting = client.request(apis.fetch, 12, fetch)
  const producer = await served.connect()
  await until(() => partition.watcherCount === 1)
  served.host.cluster.partition('a', 0).holdAppends()
  producer.sendBytes(produceBytes(producer, 10))
  await until(() => partition.appends.length === 1)
  const closed = served.gateway.close({ drainMs: 5000 })
  expect((await waiting).responses[0]?.partitions[0]?.errorCode).toBe(0)
  partition.releaseAppends()
  expect(await producedCode(producer)).toBe(0)
  await closed
  expect(served.gateway.stats().connectionCount).toBe(0)
  await expect(served.connect()).rejects.toThrow('ECONNREFUSED')
})

test('a draining gateway resets connections that never had an answer and ends the others', async () => {
  const known = await start()
  await known.request(apis.apiVersions, 4, software)
  const fresh = await served.connect()
  await until(() => served.gateway.stats().connectionCount === 2)
  const endings: string[] = []
  known.socket.on('end', () => endings.push('ended')).on('error', () => endings.push('reset'))
  fresh.socket.on('end', () => endings.push('fresh ended')).on('error', () => endings.push('fresh reset'))
  await served.gateway.close({ drainMs: 1000 })
  await Promise.all([known.whenClosed(), fresh.whenClosed()])
  expect(endings.sort()).toEqual(['ended', 'fresh reset'])
})

test('a gateway that cannot drain in time closes all the same', async () => {
  const client = await start()
  served.host.cluster.partition('a', 0).holdAppends()
  client.sendBytes(produceBytes(client, 10))
  await until(() => served.host.cluster.partition('a', 0).appends.length === 1)
  // The append is held for ever: whoever waited for it would not come back.
  await served.gateway.close({ drainMs: 100 })
  expect(await client.nextFrame()).toBeNull()
})

test('a port that is taken rejects listen and leaves nothing open', async () => {
  await start()
  const taken = served
  const { createGateway } = await import('../gateway.ts')
  const listeners = [
    { name: 'FREE', host: '127.0.0.1', port: 0 },
    { name: 'TAKEN', host: '127.0.0.1', port: taken.port }
  ]
  await expect(createGateway({ host: taken.host, listeners }).listen()).rejects.toThrow('EADDRINUSE')
})

test('settings that cannot work are named', async () => {
  await start()
  for (const name of ['requestBytesMax', 'inFlightRequestsMax', 'maxConnections', 'connectionsMaxIdleMs'] as const) {
    await expect(ServedGateway.start({ [name]: -2 })).rejects.toThrow(name)
  }
})
