/**
 * A broker under test, or a cluster of them, run as child processes: Milena or Apache Kafka behind one interface, so that a bench row, an interop check
 * or a fault round is written once and runs against both. This file holds what the two launchers share: the interface, free
 * ports, waiting for an answer, and ending processes.
 *
 * A peer owns its data folder until `remove()`. `stop()` and `kill()` keep the data and the ports, `start()` brings the same broker
 * back on them. Only processes that the peer started are ever signalled.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { processTree } from './process-usage.ts'

export interface Peer {
  readonly name: 'milena' | 'kafka'
  /** host:port that clients start from. */
  readonly bootstrap: string
  readonly port: number
  readonly dataDir: string
  /** Milliseconds of the last start, from spawn until a client got an answer. */
  readonly startMs: number
  /** The process that was spawned; 0 while the broker is down. Of a cluster: that of its first node. */
  readonly rootPid: number
  /** The processes that were spawned, one a node; empty while the broker is down. */
  readonly rootPids: readonly number[]
  /** The broker's log file, for messages about failures. */
  readonly logFile: string
  /** Starts on the data folder as it is. Rejects with the end of the log when the broker does not answer in time. */
  start(): Promise<void>
  /** Asks the broker to end, waits, and keeps its data. */
  stop(): Promise<void>
  /** SIGKILL to all processes of the broker at once; keeps its data. */
  kill(): Promise<void>
  /** Ends the broker at once and deletes its data. */
  remove(): Promise<void>
}

/** What both launchers take. */
export interface PeerOptions {
  /** Folder for data and log; must be the peer's own, since `remove` deletes it. */
  readonly dir: string
  /** Settings by Kafka's names. */
  readonly settings?: Readonly<Record<string, string>>
  /** Environment of the broker beside that of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * `count` ports in a row that nobody listens on at the moment, at or above 20000. Another process can still take one before the
 * caller does; starting again with new ones is the remedy.
 */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const first = 20_000 + Math.floor(Math.random() * 12_000)
    const servers: Server[] = []
    try {
      for (let i = 0; i < count; i++) servers.push(await listen(first + i))
      return first
    } catch {
      continue
    } finally {
      await Promise.all(servers.map(server => new Promise(done => server.close(done))))
    }
  }
  throw new Error(`no ${count} free ports in a row`)
}

function listen(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, () => resolve(server))
  })
}

/** ApiVersions v0 with correlation id 1 and no client id: the first thing a client asks. */
const apiVersionsRequest = Buffer.from('0000000a001200000000' + '0001ffff', 'hex')

/** Whether a Kafka broker answers ApiVersions on the port within `timeoutMs`. */
export function answers(port: number, timeoutMs = 1000, host = '127.0.0.1'): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host })
    const end = (value: boolean): void => {
      socket.destroy()
      resolve(value)
    }
    socket.setTimeout(timeoutMs, () => end(false))
    socket.once('error', () => end(false)).once('close', () => end(false))
    socket.once('connect', () => socket.write(apiVersionsRequest))
    socket.once('data', () => end(true))
  })
}

/** A child that logs into a file and leads a process group of its own. */
export function spawnLogged(
  command: string,
  args: readonly string[],
  options: { logFile: string; cwd?: string; env?: Readonly<Record<string, string>> | undefined }
): ChildProcess {
  mkdirSync(dirname(options.logFile), { recursive: true })
  const log = openSync(options.logFile, 'a')
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env }
  })
  closeSync(log)
  child.once('error', () => undefined)
  endWithUs(child)
  return child
}

const running = new Set<ChildProcess>()
let watching = false

/** Brokers lead process groups of their own, so Ctrl-C does not reach them: whatever ends us ends them. */
function endWithUs(child: ChildProcess): void {
  if (!watching) {
    watching = true
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
    process.once('exit', () => {
      for (const each of running) if (each.pid !== undefined) trySignal(-each.pid, 'SIGKILL')
    })
  }
  running.add(child)
  child.once('exit', () => running.delete(child))
}

/** Polls `ready` every few milliseconds; rejects when the child ends or the time is over, with the end of its log. */
export async function awaitReady(
  child: ChildProcess,
  ready: () => Promise<boolean>,
  options: { timeoutMs: number; logFile: string; what: string }
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${options.what} ended while starting:\n${logEnd(options.logFile)}`)
    if (await ready()) return
    if (performance.now() > deadline)
      throw new Error(`${options.what} did not answer in ${options.timeoutMs} ms:\n${logEnd(options.logFile)}`)
    await sleep(10)
  }
}

/** The last lines of a log file, for error messages. */
export function logEnd(file: string, lines = 20): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return '(no log)'
  }
}

/** Sends the signal to the child's group and to descendants that left it, then waits; SIGKILL after `graceMs`. */
export async function endProcesses(
  child: ChildProcess,
  signal: 'SIGTERM' | 'SIGKILL',
  graceMs = 30_000
): Promise<void> {
  if (child.pid === undefined) return
  const members = processTree(child.pid)
  const gone = (): boolean => members.every(pid => !isAlive(pid))
  if (signal === 'SIGTERM') trySignal(child.pid, 'SIGTERM')
  else for (const pid of [-child.pid, ...members]) trySignal(pid, 'SIGKILL')
  for (const deadline = performance.now() + graceMs; !gone(); await sleep(5)) {
    if (performance.now() < deadline) continue
    for (const pid of members) trySignal(pid, 'SIGKILL')
  }
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}

/** Whether the process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat[stat.lastIndexOf(')') + 2] !== 'Z'
  } catch {
    return false
  }
}
