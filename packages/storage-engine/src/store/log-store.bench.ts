/**
 * Append and commit on a real disk: `node --conditions=@milena/source log-store.bench.ts [folder] [threads]`.
 * Composition root of a measurement: real clock, real disk. Prints MB/s, CPU seconds per GB and commit latency per case, and
 * a checksum of what was read back.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { openDisk } from '../disks/open-disk.ts'
import type { Log, LogStore } from '../log-store.ts'
import { openLmdbState } from '../state/lmdb-state.ts'
import { crc32c, viewOf, writeUint64 } from '../bytes.ts'
import { plainEntry, plainFormat } from '../testing/plain-entries.ts'
import { openStore } from './open-store.ts'

const folder = process.argv[2] ?? '/var/tmp/milena-store-bench'
const prefer = process.argv[3] === 'threads' ? 'threads' : 'io_uring'
const clock = {
  now: () => Date.now(),
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs).unref()
    return () => clearTimeout(timer)
  }
}

interface Bench {
  readonly store: LogStore
  close(): Promise<void>
}

let onFlushed: (logs: readonly Log[]) => void = () => {}

async function open(): Promise<Bench> {
  mkdirSync(folder, { recursive: true })
  const { disk, fallbackReason } = await openDisk({ folder, prefer })
  if (fallbackReason !== undefined) console.log('io_uring is not used:', fallbackReason)
  const store = await openStore({
    disk,
    directory: `${folder}/store`,
    openState: () => openLmdbState({ path: `${folder}/state` }),
    format: plainFormat,
    clock,
    scheduler: { soon: callback => void setImmediate(callback) },
    newIdentity: () => randomBytes(16),
    settings: { memoryBytes: 128 << 20 },
    onFlushed: logs => onFlushed(logs)
  })
  return {
    store,
    close: async () => {
      await store.close()
      await disk.close()
    }
  }
}

/** Closed loop: `inFlightBytes` appended and not yet durable at any time. */
async function run(
  store: LogStore,
  logCount: number,
  entryBytes: number,
  totalBytes: number,
  inFlightBytes: number
): Promise<void> {
  const options = { segmentBytes: 128 << 20, indexIntervalBytes: 4096, segmentMs: 1e12 }
  const prefix = `bench-${entryBytes}-${logCount}`
  const logs = await store.createLogs(
    Array.from({ length: logCount }, (_, index) => ({ name: `${prefix}-${index}`, options }))
  )
  const entry = plainEntry({ baseOffset: 0, payload: randomBytes(entryBytes - 28) })
  const view = viewOf(entry)
  const count = Math.ceil(totalBytes / entryBytes)
  const latencies: number[] = []
  const startedAt: number[][] = logs.map(() => [])
  const flushedOf = new Map(logs.map((log, index) => [log, { index, offset: 0 }]))
  let appended = 0
  let flushed = 0
  let commits = 0
  const cpu = process.cpuUsage()
  const started = performance.now()
  await new Promise<void>((resolve, reject) => {
    const pump = () => {
      const now = performance.now()
      while (appended < count && (appended - flushed) * entryBytes < inFlightBytes) {
        const index = appended % logs.length
        const log = logs[index]!
        writeUint64(view, 8, log.endOffset)
        const result = log.append(entry)
        if (result === 'failed') return reject(store.failure ?? new Error('no space'))
        if (result === 'full') return void store.whenWritable().then(pump)
        startedAt[index]!.push(now)
        appended++
      }
    }
    onFlushed = committed => {
      commits++
      const now = performance.now()
      for (const log of committed) {
        const state = flushedOf.get(log)
        if (state === undefined) continue
        const starts = startedAt[state.index]!
        latencies.push(now - starts[0]!)
        starts.splice(0, log.flushedOffset - state.offset)
        flushed += log.flushedOffset - state.offset
        state.offset = log.flushedOffset
      }
      if (flushed >= count) resolve()
      else setImmediate(pump)
    }
    pump()
  })
  const seconds = (performance.now() - started) / 1000
  const used = process.cpuUsage(cpu)
  const bytes = count * entryBytes
  latencies.sort((one, other) => one - other)
  const percentile = (part: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * part))]!.toFixed(2)
  const cpuSeconds = (used.user + used.system) / 1e6
  console.log(
    `${String(entryBytes).padStart(7)} B x ${String(logCount).padStart(4)} logs, ${inFlightBytes >> 10} KiB in flight: ` +
      `${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${(cpuSeconds / (bytes / 1e9)).toFixed(2)} CPU s/GB, ` +
      `${commits} commits, durable after p50 ${percentile(0.5)} p99 ${percentile(0.99)} ms`
  )
}

async function readBack(log: Log, warm: string): Promise<void> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  let sum = 0
  let bytes = 0
  for (let offset = log.startOffset; offset < log.endOffset;) {
    const read = await log.read(offset, 1 << 20, log.flushedOffset, true)
    for (const slice of read.slices) sum = crc32c(slice.subarray(0, 64), sum)
    bytes += read.byteCount
    offset = read.nextOffset
    read.release()
  }
  const seconds = (performance.now() - started) / 1000
  const used = process.cpuUsage(cpu)
  const cpuSeconds = (used.user + used.system) / 1e6
  console.log(
    `read ${warm}: ${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${(cpuSeconds / (bytes / 1e9)).toFixed(2)} CPU s/GB, checksum ${sum.toString(16)}`
  )
}

rmSync(folder, { recursive: true, force: true })
const startedAt = performance.now()
let bench = await open()
console.log(`open, empty: ${(performance.now() - startedAt).toFixed(0)} ms`)
await run(bench.store, 4, 128 << 10, 1 << 30, 4 << 20)
await run(bench.store, 1, 16 << 10, 256 << 20, 1 << 20)
await run(bench.store, 100, 1100, 128 << 20, 256 << 10)
await run(bench.store, 1000, 1100, 64 << 20, 256 << 10)
await run(bench.store, 1, 1100, 16 << 20, 1100)
await bench.close()
const reopenedAt = performance.now()
bench = await open()
console.log(`open, ${bench.store.logs.size} logs: ${(performance.now() - reopenedAt).toFixed(0)} ms`)
await readBack(bench.store.logs.get(`bench-${128 << 10}-4-0`)!, 'from disk, 128 KiB entries')
await readBack(bench.store.logs.get(`bench-${16 << 10}-1-0`)!, 'from disk, 16 KiB entries')
await bench.close()
rmSync(folder, { recursive: true, force: true })
