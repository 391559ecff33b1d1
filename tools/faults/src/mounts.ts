/**
 * Small file systems to break: ext4 on a loop device, over a plain file (to fill up) or over a disk with a volatile write cache
 * (native/volatile-disk.c, to lose power or fail a flush). Needs root; the volatile disk also FUSE and a C compiler.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustRun } from '@milena/bench'
import { atExit } from './at-exit.ts'

/** Why no file system can be mounted here, in words; null when it can. */
export function missingForMounts(): string | null {
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  if (spawnSync('mkfs.ext4', ['-V']).status !== 0) return 'mkfs.ext4 is not installed (Debian: e2fsprogs)'
  return spawnSync('losetup', ['--find']).status === 0 ? null : 'there are no loop devices'
}

/** Why the volatile disk cannot run here, in words; null when it can. */
export function missingForVolatileDisk(): string | null {
  const reason = missingForMounts()
  if (reason !== null) return reason
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  if (spawnSync('cc', ['--version']).status !== 0) return 'there is no C compiler (cc)'
  if (spawnSync('pkg-config', ['--exists', 'fuse3']).status !== 0)
    return 'the FUSE library is not installed (Debian: libfuse3-dev, pkg-config)'
  return null
}

/** ext4 with data, small journal and no reserve, mounted at `folder`. */
export class LoopFileSystem {
  readonly folder: string
  readonly #image: string
  #device = ''
  #callOff: () => void = () => undefined

  constructor(image: string, folder: string) {
    this.#image = image
    this.folder = folder
  }

  /** Makes the image file of so many MiB; not for an image that exists. */
  makeImage(mebibytes: number): void {
    writeFileSync(this.#image, '')
    truncateSync(this.#image, mebibytes * 2 ** 20)
  }

  async format(): Promise<void> {
    await this.#attach()
    await mustRun('mkfs.ext4', ['-q', '-F', '-m', '0', '-J', 'size=8', this.#device])
    await this.#detach()
  }

  async mount(): Promise<void> {
    await this.#attach()
    mkdirSync(this.folder, { recursive: true })
    await mustRun('mount', ['-t', 'ext4', this.#device, this.folder])
  }

  /** Repairs what a power loss left, as a boot would; replaying ext4's own journal is no fault (e2fsck ends with 1). */
  async repair(): Promise<void> {
    await this.#attach()
    const result = spawnSync('e2fsck', ['-p', this.#device], { encoding: 'utf8' })
    if ((result.status ?? 99) > 1)
      throw new Error(`e2fsck ended with ${result.status}: ${result.stdout}${result.stderr}`)
    await this.#detach()
  }

  async unmount(): Promise<void> {
    for (let attempt = 0; attempt < 50; attempt++) {
      if (!isMounted(this.folder)) break
      spawnSync('umount', [this.folder])
      await sleep(20)
    }
    if (isMounted(this.folder)) spawnSync('umount', ['-l', this.folder])
    await this.#detach()
  }

  async #attach(): Promise<void> {
    if (this.#device !== '') return
    this.#device = (await mustRun('losetup', ['--find', '--show', '--direct-io=on', this.#image])).trim()
    const device = this.#device
    this.#callOff = atExit(() => {
      spawnSync('umount', ['-l', this.folder])
      spawnSync('losetup', ['-d', device])
    })
  }

  async #detach(): Promise<void> {
    if (this.#device === '') return
    await mustRun('losetup', ['-d', this.#device])
    this.#callOff()
    this.#device = ''
  }
}

function isMounted(folder: string): boolean {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .some(line => line.split(' ')[1] === folder)
}

/** The disk with a volatile write cache, and ext4 on it. */
export class VolatileDisk {
  readonly files: LoopFileSystem
  readonly #mountPoint: string
  readonly #child: ChildProcess
  readonly #callOff: () => void

  private constructor(mountPoint: string, files: string, child: ChildProcess) {
    this.#mountPoint = mountPoint
    this.#child = child
    this.files = new LoopFileSystem(join(mountPoint, 'disk'), files)
    this.#callOff = atExit(() => this.#end())
  }

  static async open(dir: string, mebibytes: number): Promise<VolatileDisk> {
    const program = join(dir, 'volatile-disk')
    const mountPoint = join(dir, 'fuse')
    mkdirSync(mountPoint, { recursive: true })
    const flags = (await mustRun('pkg-config', ['--cflags', '--libs', 'fuse3'])).trim().split(/\s+/)
    await mustRun('cc', [
      '-O2',
      '-Wall',
      join(import.meta.dirname, '../native/volatile-disk.c'),
      '-o',
      program,
      ...flags
    ])
    const child = spawn(program, [join(dir, 'backing'), `${mebibytes}`, mountPoint], {
      stdio: ['ignore', 'ignore', 'ignore']
    })
    const disk = new VolatileDisk(mountPoint, join(dir, 'files'), child)
    for (let attempt = 0; !existsSync(join(mountPoint, 'disk')); attempt++) {
      if (attempt > 500 || child.exitCode !== null) throw new Error('the volatile disk does not start')
      await sleep(10)
    }
    await disk.files.format()
    await disk.files.mount()
    return disk
  }

  /** Power is gone: of the writes that were not flushed about `keep` percent survive, others are torn or lost. */
  losePower(seed: number, keep: number): void {
    this.#control(`crash ${seed} ${keep}`)
  }

  /** Power is back: unmounts, repairs and mounts again. */
  async reboot(): Promise<void> {
    await this.files.unmount()
    this.#control('revive')
    await this.files.repair()
    await this.files.mount()
  }

  /**
   * Proves that the disk loses what was not flushed, and only that: one block written through, then another in its place that is
   * not. Throws when the second survives or the first does not.
   */
  async proveLoss(): Promise<void> {
    const file = join(this.files.folder, 'proof')
    const overwrite = (fill: string, ...flags: string[]): Promise<string> =>
      mustRun('dd', [`of=${file}`, 'bs=4096', 'count=1', 'conv=notrunc', ...flags], { input: fill.repeat(4096) })
    await overwrite('a', 'oflag=dsync', 'iflag=fullblock')
    await mustRun('sync', [this.files.folder])
    await overwrite('b', 'oflag=direct', 'iflag=fullblock')
    this.losePower(1, 0)
    await this.reboot()
    const kept = readFileSync(file, 'latin1')
    if (kept !== 'a'.repeat(4096))
      throw new Error(`the disk does not lose what it should, but holds ${kept.slice(0, 4)}...`)
  }

  /** The flush after `count - 1` more fails once with EIO, and what was cached is dropped or torn. */
  failFlush(count: number, seed: number): void {
    this.#control(`failflush ${count} ${seed}`)
  }

  /** From now on every write takes so much longer; 0: as fast as it is. */
  slowDown(milliseconds: number): void {
    this.#control(`slow ${milliseconds * 1000}`)
  }

  /** How long one block takes to be written through, ms. */
  async timeWrite(): Promise<number> {
    const from = performance.now()
    const file = join(this.files.folder, 'timed')
    await mustRun('dd', [`of=${file}`, 'if=/dev/zero', 'bs=4096', 'count=1', 'oflag=direct', 'conv=notrunc'])
    return performance.now() - from
  }

  /** How many flushes failed since the start. */
  failedFlushes(): number {
    return Number(/failed (\d+)/.exec(readFileSync(join(this.#mountPoint, 'control'), 'utf8'))?.[1])
  }

  #control(command: string): void {
    writeFileSync(join(this.#mountPoint, 'control'), `${command}\n`)
  }

  async close(): Promise<void> {
    try {
      this.#control('revive')
      await this.files.unmount()
    } finally {
      spawnSync('umount', [this.#mountPoint])
      await sleep(50)
      this.#callOff()
      this.#end()
    }
  }

  #end(): void {
    spawnSync('umount', ['-l', this.#mountPoint])
    this.#child.kill('SIGKILL')
  }
}
