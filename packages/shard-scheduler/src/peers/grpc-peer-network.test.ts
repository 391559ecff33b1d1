import assert from 'node:assert'
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import grpc from '@grpc/grpc-js'
import { afterEach, describe, test } from 'vitest'
import { decodeAnswer, decodeBatch, encodeBatch, encodeCall } from '../frames/frame-codec.ts'
import { requestHeaders } from '../grpc/grpc-http2.ts'
import { STRANGERS_MAX } from '../grpc/grpc-server.ts'
import { realScheduler } from '../scheduler/real-scheduler.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { SchedulerLog } from '../supervisor.ts'
import { openGrpcPeerNetwork, type GrpcPeerNetwork } from './grpc-peer-network.ts'
import { CALL_PATH, CLUSTER_KEY, LINK_PATH, OPEN_CALL_BYTES_MAX, PEER_KEY } from './grpc-peer-transport.ts'
import type { PeerAddress, PeerNetwork } from './peers.ts'

const HOST = '127.0.0.1'
const CLUSTER = 'a cluster'
const DIALLED_IN: PeerAddress = { host: HOST, port: 1 } // members with lower numbers are never dialled
const NO_BYTES = new Uint8Array(0)

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

interface Logged {
  readonly log: SchedulerLog
  readonly lines: { readonly message: string; readonly fields: Record<string, unknown> }[]
}

function logged(): Logged {
  const lines: Logged['lines'] = []
  const warn = (fields: object, message: string): void => void lines.push({ message, fields: { ...fields } })
  return { lines, log: { info: () => {}, warn, error: () => {} } }
}

async function open(self: number, log?: SchedulerLog, scheduler?: Scheduler): Promise<GrpcPeerNetwork> {
  const listen = { host: HOST, port: 0 }
  const network = await openGrpcPeerNetwork({ self, listen, ...(log && { log }), ...(scheduler && { scheduler }) })
  closers.push(() => network.close())
  return network
}

/** Peer 5 of the cluster, with members 1 and 9, and peer 9, linked to it: what bystanders are tested on. */
async function openPair(): Promise<{ five: GrpcPeerNetwork; nine: GrpcPeerNetwork } & Logged> {
  const { log, lines } = logged()
  const five = await open(5, log)
  const nine = await open(9)
  five.serve('echo', payload => payload, { open: true })
  nine.serve('echo', payload => payload)
  for (const network of [five, nine]) {
    network.joinCluster(CLUSTER)
    const members = [5, 9].map((number, index): [number, PeerAddress] => {
      return [number, { host: HOST, port: [five, nine][index]!.port }]
    })
    network.setPeers(new Map([[1, DIALLED_IN], ...members]))
  }
  await reached(five, 9)
  return { five, nine, log, lines }
}

async function reached(network: PeerNetwork, peer: number): Promise<void> {
  if (network.reachable.has(peer)) return
  await new Promise<void>(resolve =>
    network.onPeerChange((number, reachable) => reachable && number === peer && resolve())
  )
}

/** Looks again and again until it is so; whatever takes half a minute never comes. */
async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 30_000; !isSo() && performance.now() < endMs;) await sleep(5)
  assert.ok(isSo())
}

async function assertUnharmed({ five, nine }: { five: PeerNetwork; nine: PeerNetwork }): Promise<void> {
  assert.deepEqual([...(await five.call(9, 'echo', Uint8Array.of(1)))], [1])
  assert.deepEqual([...(await nine.call(5, 'echo', Uint8Array.of(2)))], [2])
}

const identity = (bytes: Buffer): Buffer => bytes

function metadataOf(cluster: string, peer: string): grpc.Metadata {
  const metadata = new grpc.Metadata()
  metadata.set(CLUSTER_KEY, encodeURIComponent(cluster))
  metadata.set(PEER_KEY, peer)
  return metadata
}

function grpcClient(port: number): grpc.Client {
  const client = new grpc.Client(`${HOST}:${port}`, grpc.credentials.createInsecure())
  closers.push(() => client.close())
  return client
}

/** A link that a member might open, by raw HTTP/2. */
function rawLink(port: number, cluster: string, peer: string): ClientHttp2Stream {
  const session = connectHttp2(`http://${HOST}:${port}`)
  closers.push(() => session.destroy())
  session.on('error', () => {})
  const metadata = { [CLUSTER_KEY]: encodeURIComponent(cluster), [PEER_KEY]: peer }
  const stream = session.request(requestHeaders(LINK_PATH, metadata))
  stream.on('error', () => {})
  stream.resume()
  return stream
}

async function ended(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  if (!socket.closed) await once(socket, 'close')
}

describe('a peer over TCP speaks gRPC', () => {
  test('A client of grpc-js links up as a member, sends and hears messages, and is called.', async () => {
    const { five } = await openPair()
    const heard: string[] = []
    five.receive('words', (from, message) => {
      heard.push(`${from}: ${Buffer.from(message).toString()}`)
      five.send(from, 'words', [Buffer.from('heard')])
    })
    const stream = grpcClient(five.port).makeBidiStreamRequest(LINK_PATH, identity, identity, metadataOf(CLUSTER, '1'))
    stream.on('error', () => {})
    const [metadata] = (await once(stream, 'metadata')) as [grpc.Metadata]
    assert.deepEqual(metadata.get(PEER_KEY), ['5'])
    const large = Buffer.alloc(100_000, 'x')
    stream.write(Buffer.concat(encodeBatch([{ kind: 'message', channel: 'words', payload: large, lane: 'bulk' }])))
    const [batch] = (await once(stream, 'data')) as [Buffer]
    const [frame] = decodeBatch(batch)
    assert.ok(frame?.kind === 'message' && Buffer.from(frame.payload).toString() === 'heard')
    assert.deepEqual(heard, [`1: ${large.toString()}`])
    stream.cancel()
  })

  test('A client of grpc-js that is refused gets a status and a reason; an open call an answer.', async () => {
    const { five } = await openPair()
    const client = grpcClient(five.port)
    const stream = client.makeBidiStreamRequest(LINK_PATH, identity, identity, metadataOf('another', '1'))
    const [error] = (await once(stream, 'error')) as [grpc.ServiceError]
    assert.equal(error.code, grpc.status.UNAUTHENTICATED)
    assert.match(error.details, /cluster another is not this one/)
    const call = encodeCall({ kind: 'call', id: 7, service: 'echo', payload: Uint8Array.of(4), abandoned: false })
    const answer = await new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest(CALL_PATH, identity, identity, Buffer.from(call), (failure, value) =>
        failure === null ? resolve(value!) : reject(failure)
      )
    )
    assert.deepEqual(
      { ...decodeAnswer(answer), payload: [] },
      { kind: 'answer', id: 7, status: 'ok', payload: [], message: '' }
    )
    assert.deepEqual([...decodeAnswer(answer).payload], [4])
  })

  test('A server of grpc-js is dialled and linked as a member.', async () => {
    const server = new grpc.Server()
    closers.push(() => server.forceShutdown())
    const arrived = Promise.withResolvers<Buffer>()
    const method = {
      path: LINK_PATH,
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity
    } as const
    server.addService(
      { link: method },
      {
        link: (stream: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          stream.on('error', () => {})
          stream.sendMetadata(metadataOf(CLUSTER, '8'))
          stream.on('data', (batch: Buffer) => arrived.resolve(batch))
        }
      }
    )
    const credentials = grpc.ServerCredentials.createInsecure()
    const port = await new Promise<number>(resolve =>
      server.bindAsync(`${HOST}:0`, credentials, (_, bound) => resolve(bound))
    )
    const network = await open(5)
    network.joinCluster(CLUSTER)
    network.setPeers(new Map([[8, { host: HOST, port }]]))
    await reached(network, 8)
    network.send(8, 'words', [Buffer.from('hello')])
    const [frame] = decodeBatch(await arrived.promise)
    assert.ok(frame?.kind === 'message' && Buffer.from(frame.payload).toString() === 'hello')
  })
})

describe('a peer over TCP and strangers', () => {
  test('Whoever is of another cluster, unknown, higher, or of no number is refused, logged once each, and others go on.', async () => {
    const pair = await openPair()
    const strangers = [
      ['another', '1'],
      [CLUSTER, '2'],
      [CLUSTER, '9'],
      [CLUSTER, '5'],
      [CLUSTER, 'one'],
      [CLUSTER, '-1'],
      ['', '1']
    ] as const
    for (let round = 0; round < 3; round++) {
      for (const [cluster, peer] of strangers) {
        const [headers] = (await once(rawLink(pair.five.port, cluster, peer), 'response')) as [IncomingHttpHeaders]
        assert.equal(headers['grpc-status'], '16', `${cluster} ${peer}`)
      }
    }
    assert.deepEqual([...pair.five.reachable], [9])
    const reasons = pair.lines.map(line => String(line.fields['reason']))
    assert.equal(new Set(reasons).size, reasons.length, 'each once')
    assert.ok(reasons.length >= 5 && reasons.length <= strangers.length)
    await assertUnharmed(pair)
  })

  test('Bytes that are no HTTP/2, and requests that are no gRPC, cost their own connection.', async () => {
    const pair = await openPair()
    const nonsense = [
      Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
      Buffer.alloc(100_000, 0xff),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(5_000, 0x7f)]),
      Buffer.from([22, 3, 1, 0, 200, 1, 0, 0])
    ]
    for (const bytes of nonsense) {
      const socket = connect(pair.five.port, HOST)
      socket.on('error', () => {})
      socket.write(bytes)
      if (bytes.length > 8) await ended(socket)
      else socket.destroy()
    }
    const session = connectHttp2(`http://${HOST}:${pair.five.port}`)
    closers.push(() => session.destroy())
    for (const path of ['/', '/milena.mesh.v1.Peers/Other']) {
      const stream = session.request({
        ':method': path === '/' ? 'GET' : 'POST',
        ':path': path,
        'content-type': 'application/grpc'
      })
      const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
      assert.equal(headers['grpc-status'], '12')
    }
    await assertUnharmed(pair)
  })

  test('A member that sends what is no batch, a huge length or a compressed message loses its link, and only that.', async () => {
    const pair = await openPair()
    const hostile = [
      Buffer.from([0, 0, 0, 0, 9, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]),
      Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
      Buffer.from([1, 0, 0, 0, 1, 0]),
      Buffer.from([0, 0, 0, 0, 2, 0x0a, 0x00])
    ]
    for (const bytes of hostile) {
      const stream = rawLink(pair.five.port, CLUSTER, '1')
      await once(stream, 'response')
      assert.ok(pair.five.reachable.has(1))
      stream.write(bytes)
      await once(stream, 'close')
      assert.ok(!pair.five.reachable.has(1))
    }
    await assertUnharmed(pair)
  })

  test('A call of a stranger that is too long or none is refused; the others are answered.', async () => {
    const pair = await openPair()
    const answers: string[] = []
    for (const bytes of [Buffer.from([0, 0, 0, 0, 2, 0x1a, 0x7f]), Buffer.from([0, 0x7f, 0, 0, 0, 1])]) {
      const session = connectHttp2(`http://${HOST}:${pair.five.port}`)
      closers.push(() => session.destroy())
      session.on('error', () => {})
      const stream = session.request(requestHeaders(CALL_PATH, {}))
      stream.on('error', () => {})
      stream.on('response', headers => answers.push(String(headers['grpc-status'])))
      stream.resume()
      stream.write(bytes)
      await once(stream, 'close')
    }
    assert.ok(answers.every(status => status !== '0'))
    const largest = new Uint8Array(OPEN_CALL_BYTES_MAX).fill(6)
    const at = { host: HOST, port: pair.five.port }
    assert.deepEqual(Buffer.compare(await pair.nine.callAddress(at, 'echo', largest), largest), 0)
    const above = pair.nine.callAddress(at, 'echo', new Uint8Array(OPEN_CALL_BYTES_MAX + 1))
    await assert.rejects(above, { code: 'TOO_LARGE' })
    await assertUnharmed(pair)
  })

  test('However many strangers connect, members are let in.', async () => {
    const { five } = await openPair()
    const sockets: Socket[] = []
    for (let index = 0; index < STRANGERS_MAX + 20; index++) {
      const socket = connect(five.port, HOST)
      socket.on('error', () => {})
      socket.resume()
      await once(socket, 'connect')
      sockets.push(socket)
      closers.push(() => void socket.destroy())
    }
    await until(() => sockets.filter(socket => socket.destroyed).length >= 20)
    assert.deepEqual(
      sockets.map(socket => socket.destroyed),
      sockets.map((_, index) => index < 20)
    )
    const one = await open(1)
    one.joinCluster(CLUSTER)
    one.setPeers(new Map([[5, { host: HOST, port: five.port }]]))
    await reached(one, 5)
  })
})

describe('a peer over TCP and broken links', () => {
  test('A number that links twice: the newer link replaces the older, which is closed.', async () => {
    const { five } = await openPair()
    const changes: string[] = []
    five.onPeerChange((peer, reachable) => changes.push(`${peer} ${reachable}`))
    const first = rawLink(five.port, CLUSTER, '1')
    await once(first, 'response')
    const second = rawLink(five.port, CLUSTER, '1')
    const closed = once(first, 'close')
    await Promise.all([once(second, 'response'), closed])
    assert.deepEqual(changes, ['1 true', '1 false', '1 true'])
    assert.ok(!second.destroyed)
  })

  test('A peer that falls silent without a word is given up after 3 s, and linked anew when it is heard again.', async () => {
    const time = new HandMovedTime()
    const five = await open(5, undefined, time)
    const nine = await open(9, undefined, time)
    const relay = await openRelay(nine.port)
    for (const network of [five, nine]) {
      network.joinCluster(CLUSTER)
      network.setPeers(
        new Map([
          [5, { host: HOST, port: five.port }],
          [9, { host: HOST, port: relay.port }]
        ])
      )
    }
    await reached(five, 9)
    await reached(nine, 5)
    relay.silence(true)
    await sleep(50) // What was on its way arrives.
    time.advance(2_400)
    assert.deepEqual([five.reachable.has(9), nine.reachable.has(5)], [true, true])
    time.advance(1_200)
    assert.deepEqual([five.reachable.has(9), nine.reachable.has(5)], [false, false])
    assert.equal(five.send(9, 'any', [NO_BYTES]), false)
    relay.silence(false)
    await until(() => {
      time.advance(20)
      return five.reachable.has(9) && nine.reachable.has(5)
    })
  })

  test('A peer that is idle for long stays linked.', async () => {
    const { five, nine } = await openPair()
    let changeCount = 0
    five.onPeerChange(() => changeCount++)
    await sleep(4_500)
    assert.equal(changeCount, 0)
    await assertUnharmed({ five, nine })
  })

  test('A port in use is an error of opening.', async () => {
    const { five } = await openPair()
    const again = openGrpcPeerNetwork({ self: 6, listen: { host: HOST, port: five.port } })
    await assert.rejects(again, { code: 'EADDRINUSE' })
  })
})

/** Turns are those of Node's loop, since sockets need them; time passes only when the test says so. */
class HandMovedTime implements Scheduler {
  #nowMs = 0
  readonly #timers = new Set<{ readonly dueMs: number; readonly task: () => void }>()

  now(): number {
    return this.#nowMs
  }

  nextTurn(task: () => void): void {
    realScheduler.nextTurn(task)
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, task }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs
    for (;;) {
      const [timer] = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)
      if (timer === undefined) break
      this.#timers.delete(timer)
      this.#nowMs = timer.dueMs
      timer.task()
    }
    this.#nowMs = endMs
  }
}

/** A TCP relay that can stop passing bytes without closing anything, as a cut cable does. */
async function openRelay(target: number): Promise<{ readonly port: number; silence(silent: boolean): void }> {
  const sockets = new Set<Socket>()
  let silent = false
  const hold = (socket: Socket): void => void (silent ? socket.pause() : socket.resume())
  const server: Server = createServer(inside => {
    const outside = connect(target, HOST)
    for (const [from, to] of [
      [inside, outside],
      [outside, inside]
    ] as const) {
      sockets.add(from)
      from.on('data', bytes => to.write(bytes))
      from.on('error', () => {})
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      hold(from)
    }
  }).listen(0, HOST)
  await once(server, 'listening')
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    port: address.port,
    silence: now => {
      silent = now
      for (const socket of sockets) hold(socket)
    }
  }
}
