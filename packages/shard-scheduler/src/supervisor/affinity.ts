/**
 * Real implementation: which CPUs a process runs on (Linux). A shard is pinned *before* it runs: the supervisor narrows its
 * own thread to the shard's CPU for the moment of the spawn, the child inherits the mask through fork and exec, and so all
 * of its threads (V8's and libuv's too) and every page that it touches first are the core's own. Pinning from inside comes
 * too late for both. `taskset` does the same where `node:ffi` is absent; on other systems nothing is pinned.
 */
import { accessSync, constants, readFileSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** CPU numbers up to here fit the masks that are passed to the kernel. */
const CPU_COUNT_MAX = 1024
const MASK_BYTES = CPU_COUNT_MAX / 8

type SetAffinity = (threadId: number, cpus: readonly number[]) => boolean

/** How shards can be pinned here. */
export type PinMethod = 'inherit' | 'taskset' | 'none'

/** CPUs that the calling thread may use, ascending; empty where the system does not say. */
export function allowedCpus(): number[] {
  try {
    const line = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))
    return line === null ? [] : parseCpuList(line[1]!)
  } catch {
    return []
  }
}

/** Reads the kernel's notation: `0-3,8` is 0, 1, 2, 3, 8. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = []
  for (const range of text.split(',')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? []
    for (let cpu = Number(first); cpu <= Number(last); cpu++) cpus.push(cpu)
  }
  return cpus
}

/** The best way to pin a child here. */
export function pinMethod(): PinMethod {
  if (process.platform !== 'linux' || allowedCpus().length === 0) return 'none'
  if (setAffinity() !== undefined) return 'inherit'
  return findTaskset() === undefined ? 'none' : 'taskset'
}

/** Runs `spawn` with the calling thread on `cpu` only, so that the child inherits that, and puts the thread back. */
export function spawnOnCpu<Child>(cpu: number, spawn: () => Child): Child {
  const set = setAffinity()
  const before = allowedCpus()
  if (set === undefined || before.length === 0 || !set(0, [cpu])) return spawn()
  try {
    return spawn()
  } finally {
    set(0, before)
  }
}

/**
 * Pins the calling process, all of its present threads and those to come, to one CPU. For processes that no supervisor of
 * this package started. Returns whether it worked: it does not without `node:ffi`, off Linux, or on a CPU that is not allowed.
 */
export function pinToCore(cpu: number): boolean {
  const set = setAffinity()
  if (set === undefined) return false
  let pinned = set(0, [cpu])
  for (const thread of readdirSync('/proc/self/task')) {
    // A thread may end between the listing and the call; the main thread decides the answer.
    const worked = set(Number(thread), [cpu])
    if (Number(thread) === process.pid) pinned &&= worked
  }
  return pinned
}

/** Path of `taskset`, if it is installed. */
export function findTaskset(): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, 'taskset')
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  return undefined
}

let cachedSetAffinity: SetAffinity | undefined | null = null

function setAffinity(): SetAffinity | undefined {
  if (cachedSetAffinity === null) cachedSetAffinity = process.platform === 'linux' ? openSetAffinity() : undefined
  return cachedSetAffinity
}

/** `sched_setaffinity` through `node:ffi`, or undefined where that is absent or does not work. */
function openSetAffinity(): SetAffinity | undefined {
  const ffi = quietly(() => process.getBuiltinModule('node:ffi'))
  if (ffi === undefined) return undefined
  try {
    const { functions } = ffi.dlopen(null, {
      sched_setaffinity: { return: 'int32', arguments: ['int32', 'uint64', 'pointer'] }
    })
    return (threadId, cpus) => {
      const mask = new Uint8Array(MASK_BYTES)
      for (const cpu of cpus) mask[cpu >> 3]! |= 1 << (cpu & 7)
      return functions.sched_setaffinity(threadId, BigInt(MASK_BYTES), mask) === 0
    }
  } catch {
    return undefined
  }
}

/** Loads without the warning that the module is experimental: it is used for one call, with a fallback beside it. */
function quietly<Result>(load: () => Result): Result | undefined {
  const emitWarning = process.emitWarning
  process.emitWarning = () => {}
  try {
    return load()
  } catch {
    return undefined
  } finally {
    process.emitWarning = emitWarning
  }
}
