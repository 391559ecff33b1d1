/**
 * What a durable write costs: `RingDisk` against `ThreadDisk`, and which kind of space it is written into.
 *
 *     node --conditions=@milena/source packages/storage-engine/src/disks/disk.bench.ts [folder] [disks|extents]
 *
 * Rounds are interleaved, in turning order, and medians of three are shown, because a shared machine changes its mind from minute to minute:
 * compare figures of one run only. CPU is of the whole process, threads included. The folder must be on the device to be
 * measured (default: the temporary folder); about 700 MiB are used and removed.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disk, DiskFile } from '../disk.ts'
import { openDisk } from './open-disk.ts'

const KIB = 1024
const MIB = 1024 * KIB
const ROUNDS = 3

interface Work {
  readonly kind: 'write' | 'read'
  readonly bytes: number
  readonly depth: number
  readonly operations: number
}

interface Sample {
  readonly p50Us: number
  readonly p99Us: number
  readonly perSecond: number
  readonly megabytesPerSecond: number
  readonly cpuUs: number
}

/** Runs `depth` loops over one file, front to back. */
async function measure(disk: Disk, file: DiskFile, work: Work, fileBytes: number): Promise<Sample> {
  const { kind, bytes, depth, operations } = work
  const memories = Array.from({ length: depth }, (_, index) => {
    const memory = disk.allocateBuffer(bytes)
    memory.bytes.fill(index + 1)
    return memory
  })
  const latencies: number[] = []
  let next = 0
  const loop = async (buffer: Uint8Array): Promise<void> => {
    while (next < operations) {
      const position = (next++ * bytes) % fileBytes
      const start = performance.now()
      if (kind === 'write') await file.write(buffer, position)
      else await file.read(buffer, position)
      latencies.push(performance.now() - start)
    }
  }
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(memories.map(memory => loop(memory.bytes)))
  const seconds = (performance.now() - start) / 1000
  const used = process.cpuUsage(cpu)
  memories.forEach(memory => memory.release())
  latencies.sort((a, b) => a - b)
  return {
    p50Us: (latencies[Math.floor(operations * 0.5)] ?? 0) * 1000,
    p99Us: (latencies[Math.floor(operations * 0.99)] ?? 0) * 1000,
    perSecond: operations / seconds,
    megabytesPerSecond: (operations * bytes) / seconds / 1e6,
    cpuUs: (used.user + used.system) / operations
  }
}

function median(samples: readonly Sample[], field: keyof Sample): number {
  return samples.map(sample => sample[field]).sort((a, b) => a - b)[samples.length >> 1] ?? 0
}

function print(label: string, samples: readonly Sample[]): void {
  const cell = (field: keyof Sample, digits = 0): string => median(samples, field).toFixed(digits).padStart(8)
  const cells = [cell('p50Us'), cell('p99Us'), cell('perSecond'), cell('megabytesPerSecond'), cell('cpuUs', 1)]
  console.log(`${label.padEnd(44)}${cells.join('')}`)
}

function header(title: string): void {
  const names = ['p50 us', 'p99 us', 'op/s', 'MB/s', 'CPU us']
  console.log(`\n${title.padEnd(44)}${names.map(name => name.padStart(8)).join('')}`)
}

async function fill(disk: Disk, file: DiskFile, bytes: number, value: number): Promise<void> {
  const memory = disk.allocateBuffer(MIB)
  memory.bytes.fill(value)
  for (let position = 0; position < bytes; position += MIB) await file.write(memory.bytes, position)
  memory.release()
}

async function benchDisks(folder: string): Promise<void> {
  const fileBytes = 256 * MIB
  const disks = await Promise.all(
    (['io_uring', 'threads'] as const).map(async prefer => (await openDisk({ folder, prefer })).disk)
  )
  const path = join(folder, 'bench')
  const files = await Promise.all(disks.map(disk => disk.open(path, { mode: 'create', direct: true, durable: true })))
  if (disks[0] !== undefined && files[0] !== undefined) await fill(disks[0], files[0], fileBytes, 0)
  const works: Work[] = []
  for (const [bytes, operations] of [
    [4 * KIB, 2000],
    [64 * KIB, 1500],
    [512 * KIB, 500],
    [MIB, 300]
  ] as const) {
    for (const depth of [1, 4, 8]) works.push({ kind: 'write', bytes, depth, operations })
  }
  for (const depth of [1, 2, 4]) works.push({ kind: 'read', bytes: MIB, depth, operations: 500 })
  header('recycled space, O_DIRECT|O_DSYNC')
  for (const work of works) {
    const samples = disks.map((): Sample[] => [])
    for (let round = 0; round < ROUNDS; round++) {
      const order = [...disks.entries()]
      if (round % 2 === 1) order.reverse()
      for (const [index, disk] of order) {
        const file = files[index]
        if (file !== undefined) samples[index]?.push(await measure(disk, file, work, fileBytes))
      }
    }
    disks.forEach((disk, index) => {
      print(`${work.kind} ${work.bytes / KIB} KiB, depth ${work.depth}, ${disk.kind}`, samples[index] ?? [])
    })
  }
  const digest = createHash('sha256').update(fs.readFileSync(path)).digest('hex')
  console.log(`checksum of the file ${digest.slice(0, 16)}`)
  await Promise.all(disks.map(disk => disk.close()))
}

const SPACES = {
  recycled: (disk: Disk, file: DiskFile, bytes: number) => fill(disk, file, bytes, 0xa5),
  'zero-written': (disk: Disk, file: DiskFile, bytes: number) => fill(disk, file, bytes, 0),
  allocated: (_: Disk, file: DiskFile, bytes: number) => file.allocate(0, bytes),
  appended: () => Promise.resolve()
}

async function benchExtents(folder: string): Promise<void> {
  const { disk } = await openDisk({ folder })
  header(`kind of space, ${disk.kind}`)
  for (const [bytes, operations] of [
    [4 * KIB, 1000],
    [128 * KIB, 500],
    [MIB, 150]
  ] as const) {
    for (const depth of [1, 4]) {
      const samples = new Map(Object.keys(SPACES).map(name => [name, [] as Sample[]]))
      const preparation = new Map(Object.keys(SPACES).map(name => [name, 0]))
      for (let round = 0; round < ROUNDS; round++) {
        for (const [name, prepare] of Object.entries(SPACES)) {
          const path = join(folder, 'extents')
          const file = await disk.open(path, { mode: 'create', direct: true, durable: true })
          const start = performance.now()
          await prepare(disk, file, bytes * operations)
          preparation.set(name, performance.now() - start)
          await file.sync()
          const work: Work = { kind: 'write', bytes, depth, operations }
          samples.get(name)?.push(await measure(disk, file, work, bytes * operations))
          await file.close()
          await disk.remove(path)
        }
      }
      for (const [name, list] of samples) {
        print(`${bytes / KIB} KiB, depth ${depth}, ${name} (prepared in ${preparation.get(name)?.toFixed(0)} ms)`, list)
      }
    }
  }
  await disk.close()
}

const [base = tmpdir(), only] = process.argv.slice(2)
const folder = fs.mkdtempSync(join(base, 'milena-bench-'))
try {
  if (only !== 'extents') await benchDisks(folder)
  if (only !== 'disks') await benchExtents(folder)
} finally {
  fs.rmSync(folder, { recursive: true, force: true })
}
