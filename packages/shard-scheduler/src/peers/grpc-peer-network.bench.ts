/**
 * What a link between two pinned processes carries over TCP on one machine: bulk, small messages, and how long small ones take
 * while bulk is under way. Run alone:
 *
 *     node --conditions=@milena/source packages/shard-scheduler/src/peers/grpc-peer-network.bench.ts [seconds a row]
 *
 * CPU is given for both sides: seconds a gigabyte (10^9 bytes) sent and received, the receiver's handler included, which sums up
 * one byte in 4096.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { realScheduler } from '../scheduler/real-scheduler.ts'
import { pinToCore } from '../supervisor/affinity.ts'
import { openGrpcPeerNetwork, type GrpcPeerNetwork } from './grpc-peer-network.ts'

const CLUSTER = 'bench'
const BULK_WAITING_MAX = 8 * 1024 * 1024

const [role, senderPort] = process.argv.slice(2)
if (role === 'peer') await runPeer(Number(senderPort))
else await runBench(Number(role ?? 2))

async function runPeer(port: number): Promise<void> {
  pinToCore(1)
  const network = await openGrpcPeerNetwork({ self: 2, listen: { host: '127.0.0.1', port: 0 } })
  let bytes = 0
  let checksum = 0
  network.receive('data', (_, message) => {
    bytes += message.length
    for (let position = 0; position < message.length; position += 4096) checksum += message[position]!
  })
  network.receive('ping', (from, message) => void network.send(from, 'pong', [message]))
  network.serve('state', () => {
    const { user, system } = process.cpuUsage()
    return Buffer.from(JSON.stringify({ cpuMicros: user + system, bytes, checksum: checksum >>> 0 }))
  })
  network.joinCluster(CLUSTER)
  network.setPeers(new Map([[1, { host: '127.0.0.1', port }]]))
  process.send!(network.port)
  process.on('disconnect', () => process.exit(0))
}

interface State {
  readonly cpuMicros: number
  readonly bytes: number
  readonly checksum: number
}

async function runBench(seconds: number): Promise<void> {
  pinToCore(0)
  const network = await openGrpcPeerNetwork({ self: 1, listen: { host: '127.0.0.1', port: 0 } })
  const peer = fork(import.meta.filename, ['peer', String(network.port)], { execArgv: process.execArgv })
  const [port] = (await once(peer, 'message')) as [number]
  const pongs: (() => void)[] = []
  network.receive('pong', () => pongs.shift()?.())
  network.joinCluster(CLUSTER)
  network.setPeers(new Map([[2, { host: '127.0.0.1', port }]]))
  await new Promise<void>(resolve => network.onPeerChange((_, reachable) => reachable && resolve()))
  const ping = async (): Promise<number> => {
    const startMs = performance.now()
    const pong = new Promise<void>(resolve => pongs.push(resolve))
    network.send(2, 'ping', [new Uint8Array(64)])
    await pong
    return performance.now() - startMs
  }
  for (const messageBytes of [0, 1024, 16 * 1024, 128 * 1024, 256 * 1024, 1024 * 1024]) {
    await runRow(network, messageBytes, 300, ping, () => {})
    await runRow(network, messageBytes, seconds * 1000, ping, line => console.log(line))
  }
  console.log(`checksum ${(await stateOf(network)).checksum}`)
  await network.close()
  peer.kill()
  await once(peer, 'exit')
}

/** Keeps bulk of one size under way, if any, and pings beside it. */
async function runRow(
  network: GrpcPeerNetwork,
  messageBytes: number,
  durationMs: number,
  ping: () => Promise<number>,
  report: (line: string) => void
): Promise<void> {
  const before = await stateOf(network)
  const own = process.cpuUsage()
  const startMs = performance.now()
  const endMs = startMs + durationMs
  const pump = async (): Promise<void> => {
    const part = new Uint8Array(messageBytes).fill(3)
    const head = new Uint8Array(40)
    while (messageBytes > 0 && performance.now() < endMs) {
      while (network.queuedBytes(2) < BULK_WAITING_MAX && network.send(2, 'data', [head, part], 'bulk'));
      await new Promise<void>(resolve => void realScheduler.after(1, resolve)) // not every turn: that would count as CPU of sending
    }
  }
  const roundTripsMs: number[] = []
  const pinger = async (): Promise<void> => {
    while (performance.now() < endMs) {
      roundTripsMs.push(await ping())
      if (messageBytes > 0) await new Promise<void>(resolve => void realScheduler.after(1, resolve))
    }
  }
  await Promise.all([pump(), pinger()])
  while (network.queuedBytes(2) > 0) await ping()
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(own)
  const after = await stateOf(network)
  const gigabytes = (after.bytes - before.bytes) / 1e9
  roundTripsMs.sort((left, right) => left - right)
  const quantile = (share: number): string => roundTripsMs[Math.floor((roundTripsMs.length - 1) * share)]!.toFixed(2)
  const bulk =
    messageBytes === 0
      ? 'no bulk'
      : `${String(messageBytes).padStart(8)} B: ${((gigabytes * 1e6) / elapsedMs).toFixed(0).padStart(5)} MB/s, ` +
        `CPU s/GB ${((user + system) / 1e6 / gigabytes).toFixed(2)} + ${((after.cpuMicros - before.cpuMicros) / 1e6 / gigabytes).toFixed(2)}`
  report(`${bulk.padEnd(48)} | 64 B round trip p50 ${quantile(0.5)} p99 ${quantile(0.99)} ms (${roundTripsMs.length})`)
}

async function stateOf(network: GrpcPeerNetwork): Promise<State> {
  return JSON.parse(Buffer.from(await network.call(2, 'state', new Uint8Array(0))).toString()) as State
}
