/**
 * The port to a child process, and its real implementation over `node:child_process`. The supervisor's decisions are above
 * this line and are tested against a fake.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findTaskset, spawnOnCpu, type PinMethod } from './affinity.ts'
import type { FromShard, ToShard } from './control-channel.ts'

/** How a shard's process ended. Exactly one of the two is set. */
export interface ShardExit {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
}

/** A shard's process. */
export interface ShardChild {
  /** Process id; -1 when the process could not be started (then `onExit` follows). */
  readonly pid: number
  /** Sends a message. Lost when the process is gone. */
  send(message: ToShard): void
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Called for each message, in order. */
  onMessage(listener: (message: FromShard) => void): void
  /** Called once, when the process is gone. */
  onExit(listener: (exit: ShardExit) => void): void
}

/** What to start. */
export interface ShardSpawn {
  readonly shard: number
  /** Module that calls `runShard`. */
  readonly entry: URL
  readonly execArgv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** CPU to pin to, or -1. */
  readonly cpu: number
  readonly pinMethod: PinMethod
}

/** Starts a process for a shard. */
export type ShardSpawner = (spawn: ShardSpawn) => ShardChild

/** Real implementation of `ShardSpawner`: one node process, output inherited, IPC channel beside it. */
export const spawnShardProcess: ShardSpawner = shardSpawn => {
  const { cpu, pinMethod, execArgv, entry } = shardSpawn
  const command = [process.execPath, ...execArgv, fileURLToPath(entry)]
  if (cpu >= 0 && pinMethod === 'taskset') command.unshift(findTaskset() ?? 'taskset', '-c', String(cpu))
  const start = (): ChildProcess =>
    spawn(command[0]!, command.slice(1), {
      env: shardSpawn.environment as NodeJS.ProcessEnv,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced'
    })
  return adopt(cpu >= 0 && pinMethod === 'inherit' ? spawnOnCpu(cpu, start) : start())
}

function adopt(child: ChildProcess): ShardChild {
  return {
    pid: child.pid ?? -1,
    send: message => {
      // The callback swallows EPIPE: a process that is gone reports itself through `exit`.
      if (child.connected) child.send(message, () => {})
    },
    kill: signal => void child.kill(signal),
    onMessage: listener => void child.on('message', message => listener(message as FromShard)),
    onExit: listener => {
      let ended = false
      const end = (exit: ShardExit): void => {
        if (ended) return
        ended = true
        listener(exit)
      }
      child.on('exit', (exitCode, signal) => end({ exitCode: exitCode ?? undefined, signal: signal ?? undefined }))
      child.on('error', () => {
        if (child.pid === undefined) end({ exitCode: -1, signal: undefined })
      })
    }
  }
}
