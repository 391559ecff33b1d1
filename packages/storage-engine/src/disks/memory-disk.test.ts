import { describe, expect, it } from 'vitest'
import { DiskError } from '../errors.ts'
import { MemoryDisk, type MemoryDiskOptions } from './memory-disk.ts'

const DURABLE = { mode: 'create', direct: true, durable: true } as const
const BUFFERED = { mode: 'create', direct: false, durable: false } as const

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value)
}

/** A buffer for direct I/O, filled with one value. */
function block(disk: MemoryDisk, bytes: number, value: number): Uint8Array {
  const buffer = disk.allocateBuffer(bytes).bytes
  buffer.fill(value)
  return buffer
}

async function makeDisk(options: MemoryDiskOptions = {}): Promise<MemoryDisk> {
  const disk = new MemoryDisk(options)
  await disk.makeDirectory('/d')
  return disk
}

async function durableFile(disk: MemoryDisk, path: string): Promise<Awaited<ReturnType<MemoryDisk['open']>>> {
  const file = await disk.open(path, DURABLE)
  await disk.syncDirectory('/d')
  return file
}

/** The distinct values of each 512-byte sector, one per sector; -1 for a sector that is mixed. */
function sectorValues(bytes: Uint8Array): number[] {
  const values: number[] = []
  for (let start = 0; start < bytes.length; start += 512) {
    const sector = bytes.subarray(start, start + 512)
    values.push(sector.every(byte => byte === sector[0]) ? (sector[0] ?? -1) : -1)
  }
  return values
}

describe('what a power cut leaves of file contents', () => {
  it('keeps a durable write that resolved, whatever the policy', async () => {
    for (const policy of ['random', 'drop-all', 'keep-all', 'tear-all'] as const) {
      const disk = await makeDisk()
      const file = await durableFile(disk, '/d/a')
      await file.write(block(disk, 8192, 7), 4096)
      const after = disk.crash({ policy }).contents('/d/a')
      expect(after?.length).toBe(12288)
      expect(after?.subarray(0, 4096)).toEqual(filled(4096, 0))
      expect(after?.subarray(4096)).toEqual(filled(8192, 7))
    }
  })

  it('drops, keeps or tears an un-synced overwrite at 512-byte sectors and nowhere else', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await disk.syncDirectory('/d')
    await file.write(filled(8192, 1), 0)
    await file.sync()
    await file.write(filled(8192, 2), 0)
    expect(disk.contents('/d/a')).toEqual(filled(8192, 2))
    const torn = sectorValues(disk.crash({ policy: 'tear-all', seed: 5 }).contents('/d/a') ?? filled(0, 0))
    expect(new Set(torn)).toEqual(new Set([1, 2]))
  })

  it('keeps a later un-synced write where an earlier one was lost', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await disk.syncDirectory('/d')
    await file.write(filled(1024, 1), 0)
    await file.sync()
    await file.write(filled(512, 2), 0)
    await file.write(filled(512, 3), 512)
    let writes = 0
    const policy = (kind: string): 'kept' | 'dropped' => (kind === 'data' && ++writes === 1 ? 'dropped' : 'kept')
    expect(sectorValues(disk.crash({ policy }).contents('/d/a') ?? filled(0, 0))).toEqual([1, 3])
  })

  it('never brings an older un-synced write back over a newer durable one', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    const durable = await durableFile(disk, '/d/a')
    await file.write(filled(8192, 1), 0)
    await durable.write(block(disk, 4096, 2), 0)
    const after = disk.crash({ policy: 'keep-all' }).contents('/d/a')
    expect(sectorValues(after ?? filled(0, 0))).toEqual([...Array(8).fill(2), ...Array(8).fill(1)])
  })

  it('makes exactly what was written before sync durable, not what came during it', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await disk.syncDirectory('/d')
    await file.write(filled(1024, 1), 0)
    await Promise.all([file.sync(), file.write(filled(512, 2), 512)])
    expect(sectorValues(disk.crash({ policy: 'drop-all' }).contents('/d/a') ?? filled(0, 0))).toEqual([1, 1])
  })

  it('reads zeros from an allocated extent whose mapping was lost although the sectors were kept', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', { ...BUFFERED, direct: true })
    await file.allocate(0, 8192)
    await file.sync()
    await disk.syncDirectory('/d')
    await file.write(block(disk, 4096, 9), 0)
    const lost = disk.crash({ policy: kind => (kind === 'data' ? 'kept' : 'dropped') })
    expect(lost.contents('/d/a')).toEqual(filled(8192, 0))
  })

  it('keeps a zero-written extent true to the sectors that survived', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', { ...BUFFERED, direct: true })
    await file.write(block(disk, 8192, 0), 0)
    await file.sync()
    await disk.syncDirectory('/d')
    await file.write(block(disk, 4096, 9), 0)
    const kept = disk.crash({ policy: kind => (kind === 'data' ? 'kept' : 'dropped') })
    expect(sectorValues(kept.contents('/d/a') ?? filled(0, 0))).toEqual([...Array(8).fill(9), ...Array(8).fill(0)])
  })

  it('undoes a truncation that was not synced and keeps one that was', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await disk.syncDirectory('/d')
    await file.write(filled(3000, 4), 0)
    await file.sync()
    await file.truncate(1000)
    expect(disk.contents('/d/a')).toEqual(filled(1000, 4))
    expect(disk.crash({ policy: 'drop-all', seed: 1 }).contents('/d/a')).toEqual(filled(3000, 4))
  })

  it('never shows bytes again that a durable truncation cut off, when the file grows again', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await disk.syncDirectory('/d')
    await file.write(filled(3000, 4), 0)
    await file.truncate(1000)
    await file.sync()
    await file.truncate(3000)
    await file.sync()
    const expected = filled(3000, 0)
    expected.fill(4, 0, 1000)
    expect(disk.crash({ policy: 'keep-all', seed: 1 }).contents('/d/a')).toEqual(expected)
  })

  it('is the same crash again for the same seed', async () => {
    const run = async (seed: number): Promise<string> => {
      const disk = await makeDisk({ seed })
      const file = await disk.open('/d/a', BUFFERED)
      await Promise.all(Array.from({ length: 20 }, (_, i) => file.write(filled(700, i + 1), i * 300)))
      return Buffer.from(disk.crash().contents('/d/a') ?? filled(0, 0)).toString('hex')
    }
    const outcomes = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const first = await run(seed)
      expect(await run(seed)).toBe(first)
      outcomes.add(first)
    }
    expect(outcomes.size).toBeGreaterThan(10)
  })

  it('can tear the write that was in flight at the crash', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      const crashed: MemoryDisk[] = []
      const disk: MemoryDisk = await makeDisk({
        onOperation: ({ kind, position }) => {
          if (kind === 'write' && position === 0 && !zeroing) crashed.push(disk.crash({ seed }))
        }
      })
      let zeroing = true
      const file = await durableFile(disk, '/d/a')
      await file.write(block(disk, 4096, 1), 0)
      zeroing = false
      await expect(file.write(block(disk, 4096, 2), 0)).rejects.toMatchObject({ code: 'CLOSED' })
      const values = new Set(sectorValues(crashed[0]?.contents('/d/a') ?? filled(0, 0)))
      seen.add([...values].sort().join())
    }
    expect(seen).toEqual(new Set(['1', '1,2', '2']))
  })
})

describe('what a power cut leaves of names', () => {
  it('forgets a file that was created without syncDirectory, its synced contents too', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await file.write(filled(10, 1), 0)
    await file.sync()
    expect(disk.crash({ policy: 'drop-all' }).contents('/d/a')).toBeUndefined()
  })

  it('shows the old or the new file after an un-synced rename, never neither', async () => {
    const names = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const disk = await makeDisk()
      for (const [name, value] of [
        ['old', 1],
        ['new', 2]
      ] as const) {
        const file = await disk.open(`/d/${name}`, BUFFERED)
        await file.write(filled(4, value), 0)
        await file.sync()
      }
      await disk.syncDirectory('/d')
      await disk.rename('/d/new', '/d/old')
      const after = disk.crash({ seed })
      names.add(`${(await after.list('/d')).join()}:${after.contents('/d/old')?.[0]}`)
    }
    expect(names).toEqual(new Set(['new,old:1', 'old:2']))
  })

  it('may undo each link by itself until syncDirectory, and never touches the other name', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await file.write(filled(10, 1), 0)
    await file.sync()
    await disk.syncDirectory('/d')
    await disk.makeDirectory('/e')
    await disk.link('/d/a', '/e/b')
    await disk.link('/d/a', '/e/c')
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const copy = disk.crash({ seed })
      expect(copy.contents('/d/a')).toEqual(filled(10, 1))
      seen.add((await copy.list('/e')).join())
      const opened = await copy.open('/d/a', BUFFERED)
      expect(await opened.linkCount()).toBe(1 + (await copy.list('/e')).length)
    }
    expect(seen).toEqual(new Set(['', 'b', 'c', 'b,c']))
  })

  it('keeps a link that was made durable when every other name was lost', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await file.write(filled(10, 1), 0)
    await file.sync()
    await disk.makeDirectory('/e')
    await disk.link('/d/a', '/e/b')
    await disk.syncDirectory('/e')
    const after = disk.crash({ policy: 'drop-all' })
    expect(after.contents('/d/a')).toBeUndefined()
    expect(after.contents('/e/b')).toEqual(filled(10, 1))
  })

  it('counts the space of a file once, and frees it with the last name', async () => {
    const disk = new MemoryDisk({ capacityBytes: 1 << 20 })
    await disk.makeDirectory('/d')
    const file = await disk.open('/d/a', BUFFERED)
    await file.write(filled(512_000, 1), 0)
    await file.sync()
    await file.close()
    await disk.link('/d/a', '/d/b')
    await disk.syncDirectory('/d')
    const free = await disk.freeBytes('/d')
    const after = disk.crash({ policy: 'keep-all' })
    expect(await after.freeBytes('/d')).toBe(free)
    await after.remove('/d/a')
    expect(await after.freeBytes('/d')).toBe(free)
    await after.remove('/d/b')
    expect(await after.freeBytes('/d')).toBe(1 << 20)
  })

  it('keeps folders that makeDirectory promised', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory('/a/b/c')
    const after = disk.crash({ policy: 'drop-all' })
    expect(await after.list('/a/b')).toEqual(['c'])
  })

  it('brings an un-synced removal back, with its durable bytes', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    await file.write(block(disk, 4096, 3), 0)
    await file.close()
    await disk.remove('/d/a')
    expect(await disk.list('/d')).toEqual([])
    expect(disk.crash({ policy: 'drop-all' }).contents('/d/a')).toEqual(filled(4096, 3))
  })
})

describe('injected faults', () => {
  it('poisons a file at its first failed flush: every later write and flush rejects with the same error', async () => {
    const disk = await makeDisk()
    const file = await disk.open('/d/a', BUFFERED)
    await file.write(filled(512, 1), 0)
    disk.failSync({ times: 1 })
    const error: unknown = await file.sync().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(DiskError)
    await expect(file.sync()).rejects.toBe(error)
    await expect(file.write(filled(512, 1), 0)).rejects.toBe(error)
    await file.close()
  })

  it('lets a second flush succeed through another handle although the pages are gone', async () => {
    let losses = 0
    for (let seed = 0; seed < 30; seed++) {
      const disk = await makeDisk({ seed })
      const file = await disk.open('/d/a', BUFFERED)
      await disk.syncDirectory('/d')
      await file.write(filled(512, 1), 0)
      disk.failSync({ times: 1 })
      await expect(file.sync()).rejects.toMatchObject({ code: 'IO' })
      await (await disk.open('/d/a', BUFFERED)).sync()
      expect(disk.contents('/d/a')?.[0]).toBe(1)
      if (disk.crash({ policy: 'keep-all' }).contents('/d/a')?.[0] !== 1) losses += 1
    }
    expect(losses).toBeGreaterThan(0)
  })

  it('acknowledges a lost write and keeps the old bytes', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    await file.write(block(disk, 4096, 1), 0)
    disk.loseWrites({ times: 1 })
    await file.write(block(disk, 4096, 2), 0)
    expect(disk.contents('/d/a')).toEqual(filled(4096, 1))
    await file.write(block(disk, 4096, 3), 0)
    expect(disk.contents('/d/a')).toEqual(filled(4096, 3))
  })

  it('puts a misdirected write elsewhere', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    const other = await durableFile(disk, '/d/b')
    await file.write(block(disk, 4096, 1), 0)
    await other.write(block(disk, 8192, 2), 0)
    disk.misdirectWrites({ path: '/d/b', position: 4096 }, { times: 1 })
    await file.write(block(disk, 4096, 9), 0)
    expect(disk.contents('/d/a')).toEqual(filled(4096, 1))
    expect(sectorValues(disk.contents('/d/b') ?? filled(0, 0))).toEqual([...Array(8).fill(2), ...Array(8).fill(9)])
  })

  it('flips exactly the bits asked for, for readers and after a crash', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    await file.write(block(disk, 4096, 0), 0)
    disk.corrupt('/d/a', 100, 9)
    const expected = filled(4096, 0)
    expected.set([0xff, 0x01], 100)
    expect(disk.contents('/d/a')).toEqual(expected)
    expect(disk.crash({ policy: 'drop-all' }).contents('/d/a')).toEqual(expected)
  })

  it('is full at its capacity, counts allocated space, and has room again after a removal', async () => {
    const disk = await makeDisk({ capacityBytes: 16384 })
    const file = await durableFile(disk, '/d/a')
    await file.allocate(0, 8192)
    expect(await disk.freeBytes('/d')).toBe(8192)
    await file.write(block(disk, 8192, 1), 0)
    expect(await disk.freeBytes('/d')).toBe(8192)
    const other = await disk.open('/d/b', BUFFERED)
    await expect(other.write(filled(8193, 1), 0)).rejects.toMatchObject({ code: 'NO_SPACE' })
    await disk.remove('/d/a')
    expect(await disk.freeBytes('/d')).toBe(8192)
    await file.close()
    expect(await disk.freeBytes('/d')).toBe(16384)
    await other.write(filled(16384, 1), 0)
    await other.truncate(512)
    expect(await disk.freeBytes('/d')).toBe(16384 - 512)
  })

  it('takes writes over what is allocated although it is full, and is more than full', async () => {
    const disk = await makeDisk({ capacityBytes: 16384 })
    const file = await durableFile(disk, '/d/a')
    await file.allocate(0, 8192)
    disk.capacityBytes = 4096
    await file.write(block(disk, 8192, 1), 0)
    await expect(file.write(block(disk, 4096, 1), 8192)).rejects.toMatchObject({ code: 'NO_SPACE' })
  })

  it('refuses to go on when a caller changes a buffer that is being written', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    const buffer = block(disk, 4096, 1)
    const writing = file.write(buffer, 0)
    buffer[0] = 2
    await expect(writing).rejects.toThrow('buffer changed during its write')
  })
})

describe('time', () => {
  it('completes operations through the scheduler only, after the latency of each', async () => {
    const timers: { delayMs: number; callback: () => void }[] = []
    const disk = new MemoryDisk({
      scheduler: { schedule: (delayMs, callback) => timers.push({ delayMs, callback }) },
      latencyMs: ({ kind, position }) => (kind === 'write' ? 10 - position / 4096 : 0)
    })
    const opening = disk.open('/a', DURABLE)
    timers.shift()?.callback()
    const file = await opening
    const done: number[] = []
    for (const position of [0, 4096]) void file.write(block(disk, 4096, 1), position).then(() => done.push(position))
    await new Promise(resolve => setImmediate(resolve))
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([10, 9])
    expect(done).toEqual([])
    timers[1]?.callback()
    await new Promise(resolve => setImmediate(resolve))
    expect(done).toEqual([4096])
  })

  it('completes operations in flight in an order that the seed draws', async () => {
    const orderOf = async (seed: number): Promise<string> => {
      const disk = await makeDisk({ seed })
      const file = await disk.open('/d/a', BUFFERED)
      const order: number[] = []
      await Promise.all([1, 2, 3, 4].map(i => file.write(filled(8, i), i * 512).then(() => order.push(i))))
      return order.join()
    }
    const orders = new Set(await Promise.all(Array.from({ length: 20 }, (_, seed) => orderOf(seed))))
    expect(orders.size).toBeGreaterThan(3)
    expect(await orderOf(3)).toBe(await orderOf(3))
  })
})

describe('a disk that lost power', () => {
  it('rejects operations in flight and later ones with CLOSED, and never completes them', async () => {
    const disk = await makeDisk()
    const file = await durableFile(disk, '/d/a')
    const writing = file.write(block(disk, 4096, 1), 0)
    disk.crash()
    await expect(writing).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(file.write(block(disk, 4096, 1), 0)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(disk.list('/d')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(disk.open('/d/a', DURABLE)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
