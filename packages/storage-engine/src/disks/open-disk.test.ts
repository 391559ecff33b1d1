import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDisk } from './open-disk.ts'
import type { RingKernel } from './ring/kernel.ts'
import { loadNative } from './ring/native.ts'

const EPERM = 1
const ENOSYS = 38
const loaded = loadNative()
const ringWorks = 'native' in loaded && kernelAllowsRings(loaded.native)

function kernelAllowsRings(kernel: RingKernel): boolean {
  const fd = kernel.setup(1, new Uint8Array(new ArrayBuffer(120)))
  if (fd < 0) return false
  kernel.close(fd)
  return true
}

let folder = ''
beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'milena-open-'))
})
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

describe('openDisk', () => {
  it.skipIf(!ringWorks)('takes io_uring where it works, and leaves nothing behind', async () => {
    const { disk, ...reasons } = await openDisk({ folder: `${folder}/data/deep` })
    expect(disk.kind).toBe('io_uring')
    expect(reasons).toEqual({})
    expect(await disk.list(`${folder}/data/deep`)).toEqual([])
    await disk.close()
  })

  it('takes threads when told to, without a reason', async () => {
    const { disk, fallbackReason } = await openDisk({ folder, prefer: 'threads' })
    expect([disk.kind, fallbackReason]).toEqual(['threads', undefined])
    expect(await disk.list(folder)).toEqual([])
    await disk.close()
  })

  it.skipIf(!('native' in loaded))('falls back, with the reason, where the kernel refuses a ring', async () => {
    for (const [errno, name] of [
      [EPERM, 'EPERM'],
      [ENOSYS, 'ENOSYS']
    ] as const) {
      const { disk, fallbackReason } = await openDisk({ folder, native: { native: refusing({ setup: () => -errno }) } })
      expect(disk.kind).toBe('threads')
      expect(fallbackReason).toContain(name)
      await disk.close()
    }
  })

  it.skipIf(!ringWorks)('falls back where rings exist but operations are refused', async () => {
    const native = refusing({ enter: () => -EPERM })
    const { disk, fallbackReason } = await openDisk({ folder, native: { native } })
    expect(disk.kind).toBe('threads')
    expect(fallbackReason).toContain('EPERM')
    expect(await disk.list(folder)).toEqual([])
    await disk.close()
  })

  it.skipIf(!ringWorks)('falls back where rings or memory cannot be mapped', async () => {
    for (const call of ['mapRing', 'mapPages', 'watch'] as const) {
      const native = refusing({
        [call]: () => {
          throw new Error(`${call} is refused`)
        }
      })
      const descriptors = fs.readdirSync('/proc/self/fd').length
      const { disk, fallbackReason } = await openDisk({ folder, native: { native } })
      expect(disk.kind).toBe('threads')
      expect(fallbackReason).toContain(`${call} is refused`)
      await disk.close()
      expect(fs.readdirSync('/proc/self/fd').length).toBe(descriptors)
    }
  })

  it('falls back where there is no FFI', async () => {
    const { disk, fallbackReason } = await openDisk({ folder, native: { reason: 'no FFI here' } })
    expect(disk.kind).toBe('threads')
    expect(fallbackReason).toContain('no FFI here')
    await disk.close()
  })

  it.skipIf(!ringWorks)(
    'gives rings, descriptors and mappings back: a hundred disks one after the other leave nothing',
    async () => {
      // The test runner opens and closes files of its own meanwhile.
      const isOurs = (fd: string): boolean => {
        try {
          const target = fs.readlinkSync(`/proc/self/fd/${fd}`)
          return target.includes('io_uring') || target.startsWith(folder)
        } catch {
          return false
        }
      }
      const held = (): number[] => [
        fs.readdirSync('/proc/self/fd').filter(isOurs).length,
        fs.readFileSync('/proc/self/maps', 'utf8').split('io_uring').length
      ]
      const before = held()
      const { disk } = await openDisk({ folder })
      expect(held().every((count, index) => count > (before[index] ?? 0))).toBe(true)
      await disk.close()
      for (let round = 0; round < 100; round++) await (await openDisk({ folder })).disk.close()
      expect(held()).toEqual(before)
    }
  )

  it('rejects when the folder cannot be made', async () => {
    fs.writeFileSync(`${folder}/file`, '')
    await expect(openDisk({ folder: `${folder}/file/data` })).rejects.toMatchObject({ code: 'IO' })
  })
})

describe('the life of a process with a disk', () => {
  const run = (flags: string[], body: string): ReturnType<typeof spawnSync> => {
    const source = `
      import { openDisk } from ${JSON.stringify(join(import.meta.dirname, 'open-disk.ts'))}
      const folder = ${JSON.stringify(folder)}
      const { disk, fallbackReason } = await openDisk({ folder })
      ${body}`
    fs.writeFileSync(`${folder}/program.ts`, source)
    const args = ['--disable-warning=ExperimentalWarning', ...flags, `${folder}/program.ts`]
    return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
  }

  it('ends by itself when the disk is idle, closed or not', () => {
    const { status, stdout, stderr } = run([], `await disk.list(folder); console.log(disk.kind)`)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toBe(ringWorks ? 'io_uring\n' : 'threads\n')
  })

  it('lasts until operations in flight are done', () => {
    const body = `
      const file = await disk.open(folder + '/a', { mode: 'create', direct: false, durable: true })
      for (let i = 0; i < 100; i++) void file.write(new Uint8Array(5000).fill(i), i * 5000).then(() => {
        if (i === 99) console.log('done')
      })`
    expect(run([], body)).toMatchObject({ status: 0, stdout: 'done\n' })
    expect(fs.statSync(`${folder}/a`).size).toBe(500_000)
  })

  it('survives garbage collection while operations are in flight', () => {
    const body = `
      const file = await disk.open(folder + '/a', { mode: 'create', direct: true, durable: false })
      let bad = 0
      for (let round = 0; round < 50; round++) {
        const memory = disk.allocateBuffer(65536)
        memory.bytes.fill(round)
        const writing = file.write(memory.bytes, 0)
        for (let i = 0; i < 20; i++) new Uint8Array(100_000)
        globalThis.gc()
        await writing
        memory.bytes.fill(255)
        const reading = file.read(memory.bytes, 0)
        globalThis.gc()
        await reading
        if (memory.bytes.some(byte => byte !== round)) bad += 1
        memory.release()
      }
      console.log('bad', bad)
      await disk.close()`
    expect(run(['--expose-gc'], body)).toMatchObject({ status: 0, stdout: 'bad 0\n' })
  })

  it('works without FFI, and says so', () => {
    const { stdout, status } = run(['--no-experimental-ffi'], `console.log(disk.kind, fallbackReason)`)
    expect(status).toBe(0)
    expect(stdout).toContain('threads')
    expect(stdout).toContain('node:ffi')
  })

  it('works in a worker thread, which can be terminated at any time', () => {
    const body = `
      import { Worker, isMainThread, parentPort } from 'node:worker_threads'
      if (isMainThread) {
        const worker = new Worker(new URL(import.meta.url))
        worker.once('message', async kind => { await worker.terminate(); console.log(kind); await disk.close() })
      } else {
        const file = await disk.open(folder + '/a', { mode: 'create', direct: true, durable: true })
        const memory = disk.allocateBuffer(4096)
        await file.write(memory.bytes, 0)
        parentPort.postMessage(disk.kind)
        for (;;) await file.write(memory.bytes, 0)
      }`
    expect(run([], body)).toMatchObject({ status: 0, stdout: 'threads\n' })
  })
})

/** The real kernel, except for the calls given. */
function refusing(calls: Partial<RingKernel>): RingKernel {
  if (!('native' in loaded)) throw new Error(loaded.reason)
  return { ...loaded.native, ...calls }
}
