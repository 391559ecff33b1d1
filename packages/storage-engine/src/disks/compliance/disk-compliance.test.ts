/** The compliance suite against the three disks; the real ones in a temporary folder and on a small file system. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { MemoryDisk } from '../memory-disk.ts'
import type { PosixDisk } from '../posix-disk.ts'
import type { RawIo } from '../posix-file.ts'
import { RingDisk } from '../ring-disk.ts'
import { loadNative } from '../ring/native.ts'
import { SystemCallError } from '../system-error.ts'
import { ThreadDisk } from '../thread-disk.ts'
import { diskCompliance, type DiskUnderTest } from './disk-compliance.ts'

const EIO = 5
const EINTR = 4

type MakeDisk = (wrapIo: (io: RawIo) => RawIo) => PosixDisk

/** Raw calls that can be made to fail or fall short, and that are interrupted now and then. */
class ArmedIo implements RawIo {
  readonly #io: RawIo
  failSync = false
  failWrite = false
  shortenWrite = false
  #calls = 0

  constructor(io: RawIo) {
    this.#io = io
  }

  read(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    return this.#interrupted('read') ?? this.#io.read(fd, bytes, position)
  }

  write(fd: number, bytes: Uint8Array, position: number): Promise<number> {
    const { failWrite, shortenWrite } = this
    this.failWrite = this.shortenWrite = false
    if (failWrite) return Promise.reject(new SystemCallError('write', EIO))
    if (shortenWrite) return this.#io.write(fd, bytes.subarray(0, 4096), position)
    return this.#interrupted('write') ?? this.#io.write(fd, bytes, position)
  }

  sync(fd: number): Promise<void> {
    const { failSync } = this
    this.failSync = false
    return failSync ? Promise.reject(new SystemCallError('fdatasync', EIO)) : this.#io.sync(fd)
  }

  allocate(fd: number, start: number, length: number): Promise<void> {
    return this.#io.allocate(fd, start, length)
  }

  #interrupted(call: string): Promise<never> | undefined {
    this.#calls += 1
    return this.#calls % 7 === 0 ? Promise.reject(new SystemCallError(call, EINTR)) : undefined
  }
}

function inFolder(folder: string, make: MakeDisk, dispose: () => void): DiskUnderTest {
  let armed: ArmedIo | undefined
  const disk = make(io => (armed = new ArmedIo(io)))
  return {
    disk,
    folder,
    dispose: () => Promise.resolve(dispose()),
    failNextSync: () => armed !== undefined && (armed.failSync = true),
    failNextWrite: () => armed !== undefined && (armed.failWrite = true),
    shortenNextWrite: () => armed !== undefined && (armed.shortenWrite = true),
    descriptorCount: () => (fs.existsSync('/proc/self/fd') ? fs.readdirSync('/proc/self/fd').length : 0)
  }
}

function temporary(make: MakeDisk): DiskUnderTest {
  const folder = fs.mkdtempSync(join(tmpdir(), 'milena-disk-'))
  return inFolder(folder, make, () => fs.rmSync(folder, { recursive: true, force: true }))
}

type Mount = (folder: string) => void

/** 2 MiB of memory. */
const tmpfs: Mount = folder => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder], { stdio: 'pipe' })
}

/** ext4 in a file of 8 MiB, through a loop device. */
const ext4: Mount = folder => {
  const image = `${folder}.image`
  try {
    fs.writeFileSync(image, '')
    fs.truncateSync(image, 8 << 20)
    execFileSync('mkfs.ext4', ['-q', '-F', image], { stdio: 'pipe' })
    execFileSync('mount', ['-o', 'loop', image, folder], { stdio: 'pipe' })
  } finally {
    fs.rmSync(image, { force: true })
  }
}

/** A small file system of its own; needs root on Linux. */
function small(make: MakeDisk, mount: Mount): Promise<DiskUnderTest | string> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'milena-small-'))
  try {
    mount(folder)
  } catch (error) {
    fs.rmdirSync(folder)
    const reason = error instanceof Error ? error.message : String(error)
    return Promise.resolve(`a small file system cannot be mounted here: ${reason}`)
  }
  const subject = inFolder(folder, make, () => {
    execFileSync('umount', [folder])
    fs.rmdirSync(folder)
  })
  return Promise.resolve(subject)
}

async function memory(capacityBytes: number): Promise<DiskUnderTest> {
  const disk = new MemoryDisk({ seed: 7, capacityBytes })
  await disk.makeDirectory('/data')
  return {
    disk,
    folder: '/data',
    dispose: () => Promise.resolve(),
    failNextSync: () => disk.failSync({ times: 1 }),
    failNextWrite: () => disk.failWrites({ times: 1 })
  }
}

const runner = {
  describe: (name: string, define: () => void): void => void describe(name, define),
  it: (name: string, test: (context: { skip(reason?: string): void }) => Promise<void>): void => {
    it(name, context => test({ skip: reason => context.skip(reason) }))
  }
}

const native = loadNative()
const threads: MakeDisk = wrapIo => new ThreadDisk({ wrapIo })
const threadsWithoutFfi: MakeDisk = wrapIo => new ThreadDisk({ wrapIo, native: { reason: 'left out' } })

diskCompliance(runner, 'MemoryDisk', () => memory(Infinity), { makeSmallDisk: () => memory(1 << 21) })
diskCompliance(runner, 'ThreadDisk', () => temporary(threads), { makeSmallDisk: () => small(threads, ext4) })
diskCompliance(runner, 'ThreadDisk without FFI', () => temporary(threadsWithoutFfi), {
  makeSmallDisk: () => small(threadsWithoutFfi, tmpfs)
})

if ('native' in native) {
  const ring: MakeDisk = wrapIo => new RingDisk({ kernel: native.native, depth: 64, wrapIo })
  for (const mount of [ext4, tmpfs]) {
    diskCompliance(runner, `RingDisk (full: ${mount.name})`, () => temporary(ring), {
      makeSmallDisk: () => small(ring, mount)
    })
  }
} else {
  describe('RingDisk', () => it.skip(`is not tested here: ${native.reason}`, () => {}))
}
