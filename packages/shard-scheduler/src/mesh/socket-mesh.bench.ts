/**
 * What the mesh carries between two pinned processes: small calls a second, bytes a second, round trip. Run alone:
 *
 *     node --conditions=@milena/source packages/shard-scheduler/src/mesh/socket-mesh.bench.ts [seconds a row]
 *
 * CPU is both processes' together, so that a row says what a call costs however busy the machine is.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pinToCore } from '../supervisor/affinity.ts'
import { openSocketMesh, type SocketMesh } from './socket-mesh.ts'

interface Row {
  readonly title: string
  readonly payloadBytes: number
  /** Calls kept under way; each ended one is followed by the next. */
  readonly depth: number
  /** 'echo' answers with the payload, 'sink' with one byte. */
  readonly service: 'echo' | 'sink'
}

const rows: Row[] = [
  { title: 'round trip, 64 B', payloadBytes: 64, depth: 1, service: 'echo' },
  { title: 'round trip, 128 KiB there', payloadBytes: 128 * 1024, depth: 1, service: 'sink' },
  { title: 'small calls, 64 B', payloadBytes: 64, depth: 16, service: 'echo' },
  { title: 'small calls, 64 B', payloadBytes: 64, depth: 256, service: 'echo' },
  { title: 'small calls, 1 KiB', payloadBytes: 1024, depth: 256, service: 'echo' },
  { title: 'bulk there, 128 KiB', payloadBytes: 128 * 1024, depth: 8, service: 'sink' },
  { title: 'bulk there, 1 MiB', payloadBytes: 1024 * 1024, depth: 8, service: 'sink' },
  { title: 'bulk both ways, 128 KiB', payloadBytes: 128 * 1024, depth: 8, service: 'echo' }
]

const [role, socketFolder] = process.argv.slice(2)
if (role === 'peer') await runPeer(socketFolder!)
else await runBench(Number(role ?? 2))

async function runPeer(folder: string): Promise<void> {
  pinToCore(1)
  const mesh = await openSocketMesh({ shard: 1, shardCount: 2, socketFolder: folder, token: 'bench' })
  mesh.serve('echo', payload => payload)
  mesh.serve('sink', payload => Uint8Array.of(payload[payload.length - 1]!))
  mesh.serve('cpu', () => {
    const { user, system } = process.cpuUsage()
    return Buffer.from(String(user + system))
  })
  process.on('disconnect', () => process.exit(0))
}

async function runBench(seconds: number): Promise<void> {
  pinToCore(0)
  const folder = mkdtempSync(join(tmpdir(), 'mesh-bench-'))
  const openedMs = performance.now()
  const mesh = await openSocketMesh({ shard: 0, shardCount: 2, socketFolder: folder, token: 'bench' })
  const listeningMs = performance.now()
  const peer = fork(import.meta.filename, ['peer', folder], { execArgv: process.execArgv })
  await new Promise<void>(resolve => mesh.onPeerChange((_, reachable) => reachable && resolve()))
  console.log(`open to listening, gRPC import included: ${(listeningMs - openedMs).toFixed(0)} ms`)
  console.log(`fork of the peer to linked: ${(performance.now() - listeningMs).toFixed(0)} ms`)
  let checksum = 0
  for (const row of rows) {
    await run(mesh, row, 300)
    checksum += await run(mesh, row, seconds * 1000, true)
  }
  console.log(`checksum ${checksum >>> 0}`)
  await mesh.close()
  peer.kill()
  await once(peer, 'exit')
  rmSync(folder, { recursive: true })
}

async function run(mesh: SocketMesh, row: Row, durationMs: number, report = false): Promise<number> {
  const payload = new Uint8Array(row.payloadBytes).fill(7)
  const roundTripsMs: number[] = []
  let checksum = 0
  const cpuBefore = await cpuMicros(mesh)
  const startMs = performance.now()
  const endMs = startMs + durationMs
  const worker = async (): Promise<void> => {
    for (let nowMs = startMs; nowMs < endMs;) {
      const answer = await mesh.submitTo(1, row.service, payload)
      checksum += answer.length + answer[answer.length - 1]!
      const thenMs = nowMs
      nowMs = performance.now()
      roundTripsMs.push(nowMs - thenMs)
    }
  }
  await Promise.all(Array.from({ length: row.depth }, worker))
  const elapsedMs = performance.now() - startMs
  if (report) print(row, roundTripsMs, elapsedMs, (await cpuMicros(mesh)) - cpuBefore)
  return checksum
}

function print(row: Row, roundTripsMs: number[], elapsedMs: number, cpuMicrosUsed: number): void {
  const count = roundTripsMs.length
  roundTripsMs.sort((left, right) => left - right)
  const quantile = (share: number): string => roundTripsMs[Math.floor((count - 1) * share)]!.toFixed(3)
  const perSecond = (count / elapsedMs) * 1000
  const ways = row.service === 'echo' ? 2 : 1
  const megabytes = (perSecond * row.payloadBytes * ways) / 1e6
  console.log(
    `${row.title.padEnd(26)} depth ${String(row.depth).padStart(3)}: ${perSecond.toFixed(0).padStart(7)} calls/s, ` +
      `${megabytes.toFixed(1).padStart(6)} MB/s, p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, ` +
      `${(cpuMicrosUsed / count).toFixed(1)} us CPU a call`
  )
}

async function cpuMicros(mesh: SocketMesh): Promise<number> {
  const { user, system } = process.cpuUsage()
  return user + system + Number(Buffer.from(await mesh.submitTo(1, 'cpu', new Uint8Array(0))).toString())
}
