/**
 * A shard that does nothing useful: the entry module of this package's tests and benches, and an example of `runShard`. It
 * serves `echo` and misbehaves on request, at the start by its configuration and later by messages from the supervisor.
 */
import { MeshError } from './errors.ts'
import type { Mesh } from './mesh/mesh.ts'
import { runShard } from './run-shard.ts'

/** How the sample behaves, and on which shard (all when absent). */
export interface SampleConfig {
  readonly onStart?: 'refuse' | 'hang' | 'exit'
  readonly onDrain?: 'hang' | 'throw'
  readonly onlyShard?: number
}

/** What it does when told so. `stallMs` keeps the loop busy that long. */
export type SampleOrder =
  { readonly exitCode: number } | { readonly stallMs: number } | { readonly echo: unknown } | FloodOrder

/** Call `echo` on a shard many times at once and report how the calls ended and the memory that is held then. */
export interface FloodOrder {
  readonly flood: number
  readonly callCount: number
  readonly payloadBytes: number
  readonly deadlineMs: number
}

/** The answer to a `FloodOrder`. */
export interface FloodReport {
  /** Calls by their end: `ok` or the error's code. */
  readonly ends: ReadonlyMap<string, number>
  readonly residentBytes: number
}

await runShard<SampleConfig>(async ({ shard, shardCount, cpu, config, mesh, send, onMessage }) => {
  const misbehaves = config.onlyShard === undefined || config.onlyShard === shard
  mesh.serve('echo', payload => payload)
  mesh.serve('shard', (payload, from) => Uint8Array.of(shard, from, ...payload))
  if (misbehaves && config.onStart === 'refuse') throw new Error(`port ${9092 + shard} is in use`)
  if (misbehaves && config.onStart === 'hang') await new Promise(() => {})
  if (misbehaves && config.onStart === 'exit') process.exit(7)
  onMessage(message => {
    const order = message as SampleOrder
    if ('exitCode' in order) process.exit(order.exitCode)
    if ('stallMs' in order) {
      const endMs = performance.now() + order.stallMs
      while (performance.now() < endMs);
      send('stalled')
    } else if ('flood' in order) void flood(mesh, order).then(send)
    else send({ shard, echo: order.echo })
  })
  send({ shard, shardCount, cpu })
  return {
    status: () => ({ sample: shard }),
    drain: async () => {
      send('draining')
      if (misbehaves && config.onDrain === 'hang') await new Promise(() => {})
      if (misbehaves && config.onDrain === 'throw') throw new Error('a disk that does not answer')
    }
  }
})

async function flood(mesh: Mesh, order: FloodOrder): Promise<FloodReport> {
  const payload = new Uint8Array(order.payloadBytes).fill(1)
  const ends = new Map<string, number>()
  const note = (end: string): void => void ends.set(end, (ends.get(end) ?? 0) + 1)
  const calls = Array.from({ length: order.callCount }, () =>
    mesh.submitTo(order.flood, 'echo', payload, { deadlineMs: order.deadlineMs }).then(
      () => note('ok'),
      (error: unknown) => note(error instanceof MeshError ? error.code : String(error))
    )
  )
  await Promise.all(calls)
  return { ends, residentBytes: process.memoryUsage.rss() }
}
