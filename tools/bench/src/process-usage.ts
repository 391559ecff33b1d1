/**
 * What a tree of processes costs: CPU time, memory, and how busy the machine was meanwhile. Linux only: everything comes from
 * /proc. CPU time of processes that ended during the run is counted through their parents.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { loadavg } from 'node:os'

/** USER_HZ, which Linux has fixed at 100 for user space on every architecture that Node runs on. */
const ticksPerSecond = 100

interface Stat {
  readonly parent: number
  readonly ticks: number
}

function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field, the command, may hold spaces and parentheses: count from behind it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
    return { parent: Number(fields[1]), ticks }
  } catch {
    return undefined
  }
}

/** `rootPid` and all of its living descendants; empty when it is gone. */
export function processTree(rootPid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const parent = readStat(pid)?.parent
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const members = readStat(rootPid) === undefined ? [] : [rootPid]
  for (let i = 0; i < members.length; i++) members.push(...(children.get(members[i] ?? 0) ?? []))
  return members
}

/** User and system time of the processes and of their children that ended, in seconds; steps of 10 ms. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.ticks ?? 0), 0) / ticksPerSecond
}

/** Sum over the processes in bytes: resident, and proportional (pages shared by n processes count 1/n in each). */
export function memoryBytes(pids: readonly number[]): { rss: number; pss: number } {
  let rss = 0
  let pss = 0
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
      rss += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024
      pss += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024
    } catch {
      // It ended between the listing and the look.
    }
  }
  return { rss, pss }
}

/** Sum of what is resident, without looking at single pages. */
function residentBytes(pids: readonly number[]): number {
  let bytes = 0
  for (const pid of pids) {
    try {
      bytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
    } catch {
      // It has ended.
    }
  }
  return bytes
}

/** Seconds since boot that the hypervisor gave to others, over all cores. */
export function stealSeconds(): number {
  return Number(readFileSync('/proc/stat', 'latin1').split('\n')[0]?.split(/\s+/)[8] ?? 0) / ticksPerSecond
}

/** What a run cost. */
export interface Usage {
  readonly cpuSeconds: number
  /** Highest sum seen. */
  readonly rssPeakBytes: number
  /** Sum at the end. */
  readonly pssBytes: number
  readonly stealSeconds: number
  /** One-minute load average at the end. */
  readonly load: number
}

/**
 * Measures trees of processes between `new` and `stop()`. Meanwhile it looks at what is resident only, which costs microseconds:
 * listing all processes and adding up their pages takes tens of milliseconds of a core that the broker needs.
 */
export class UsageMeter {
  readonly #rootPids: readonly number[]
  readonly #pids: readonly number[]
  readonly #cpuAtStart: number
  readonly #stealAtStart = stealSeconds()
  readonly #timer: NodeJS.Timeout
  #rss = 0

  constructor(rootPids: readonly number[]) {
    this.#rootPids = rootPids
    this.#pids = rootPids.flatMap(processTree)
    this.#cpuAtStart = cpuSeconds(this.#pids)
    this.#timer = setInterval(() => (this.#rss = Math.max(this.#rss, residentBytes(this.#pids))), 500)
  }

  stop(): Usage {
    clearInterval(this.#timer)
    const pids = this.#rootPids.flatMap(processTree)
    const { rss, pss } = memoryBytes(pids)
    return {
      cpuSeconds: Math.max(0, cpuSeconds(pids) - this.#cpuAtStart),
      rssPeakBytes: Math.max(this.#rss, rss),
      pssBytes: pss,
      stealSeconds: stealSeconds() - this.#stealAtStart,
      load: loadavg()[0] ?? 0
    }
  }
}
