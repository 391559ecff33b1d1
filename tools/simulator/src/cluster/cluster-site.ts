/** What all nodes of a simulated cluster share: the world, the network between them, settings, and who hears what happens. */
import {
  createLogger,
  parseBrokerSettings,
  type BrokerSettings,
  type OpenShard,
  type ShardOptions
} from '@milena/broker/testing'
import type { MemoryPeerNetwork } from '@milena/shard-scheduler'
import type { Machine } from '../machine/machine.ts'
import type { World } from '../world/world.ts'
import type { ClusterNode } from './cluster-node.ts'
import type { ShardProcess } from './shard-process.ts'

/** Where shard 0 of each node listens for other nodes, shard i on port + i. */
export const RPC_PORT = 33_145

/** Where shard 0 of each node listens for clients, shard i on port + i. */
export const CLIENT_PORT = 9092

/** Where a planted bug may stand between. */
export interface ClusterPlant {
  readonly wrapShard?: (options: ShardOptions) => ShardOptions
  readonly wrapOpen?: (open: OpenShard) => OpenShard
  /** What a node knows of its cluster does not outlive its processes. */
  readonly forgetsMembership?: boolean
}

export interface ClusterSite {
  readonly world: World
  readonly network: MemoryPeerNetwork
  readonly settings: BrokerSettings
  /** The node is a member. */
  readonly claimed: (node: ClusterNode) => void
  /** The node cannot become a member. */
  readonly refused: (node: ClusterNode, error: unknown) => void
  /** The cluster told a node that starts that it is no member of it. */
  readonly dismissed: (node: ClusterNode, error: unknown) => void
  readonly processEnded: (machine: Machine<ShardProcess>, told: boolean) => void
  /** Something happened that no fault explains. */
  readonly failed: (error: unknown) => void
  readonly plant: ClusterPlant
}

/** Sizes of stores and logs; small, so that segments roll, journals wrap and memory runs out in a minute. */
export interface StoreSizes {
  readonly memoryBytes: number
  readonly journalBytes: number
  readonly segmentBytes: number
}

/** Settings of all nodes: the defaults, but for sizes, what depends on the wall clock, and waits that are longer than a run. */
export function clusterSettings(sizes: StoreSizes): BrokerSettings {
  return {
    ...parseBrokerSettings(new Map()),
    'auto.create.topics.enable': false,
    // Smaller than what production allows.
    'store.memory.bytes': sizes.memoryBytes,
    'journal.bytes': sizes.journalBytes,
    'log.segment.bytes': sizes.segmentBytes,
    'replica.lag.time.max.ms': 5000,
    'leader.imbalance.check.interval.seconds': 5,
    // Clocks jump by years: what happened then must still be known.
    'producer.id.expiration.ms': Number.MAX_SAFE_INTEGER,
    'log.message.timestamp.after.max.ms': 2n ** 63n - 1n
  }
}

/** What production code logs becomes a part of the trace. */
export function loggerOf(world: World, name: string): ShardOptions['log'] {
  const { trace } = world
  if (!trace.printing) return createLogger('silent', {}, { write: () => undefined })
  const write = (line: string): void => {
    const { level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
    delete fields['time']
    trace.line(name, `log ${levelNames[Number(level)] ?? String(level)}`, `${String(msg)} ${shown(fields)}`)
  }
  return createLogger('debug', {}, { write })
}

const levelNames: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }

function shown(fields: object): string {
  return JSON.stringify(fields, (key, value: unknown) => (key === 'stack' ? undefined : value))
}
