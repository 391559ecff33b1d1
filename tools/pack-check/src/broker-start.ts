/**
 * Starts the broker that was installed from its tarball, as processes, and stops it again: the only check that sees whether the
 * built files find each other (the entry of a shard's process is named by a path, not by an import).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ended } from './command.ts'

const readyWithinMs = 120_000
const shardCount = 2

/** `milena start` in `folder`: passes when it becomes ready and ends with exit code 0 after SIGTERM. */
export async function startInstalledBroker(folder: string): Promise<Ended> {
  const kafkaPort = await freePorts(shardCount + 1)
  const adminPort = kafkaPort + shardCount
  const command = join(folder, 'node_modules/.bin/milena')
  const ports = ['--kafka-port', String(kafkaPort), '--admin-port', String(adminPort)]
  const args = [command, 'start', '--data-dir', join(folder, 'data'), '--shards', String(shardCount), ...ports]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => chunks.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => chunks.push(bytes))
  const ended = once(child, 'close') as Promise<[number | null]>
  const ready = await becomesReady(`http://127.0.0.1:${adminPort}/v1/status/ready`, () => child.exitCode !== null)
  child.kill('SIGTERM')
  const [code] = await ended
  return {
    passed: ready && code === 0,
    output: `ready: ${ready}, exit code ${code}\n${Buffer.concat(chunks).toString()}`
  }
}

async function becomesReady(url: string, gone: () => boolean): Promise<boolean> {
  for (const until = performance.now() + readyWithinMs; performance.now() < until && !gone(); await sleep(50)) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return true
  }
  return false
}

/** The first of `count` ports in a row that are free now; below those that the system gives to outgoing connections. */
async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 12_000)
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)))
    if (!free.includes(false)) return first
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
