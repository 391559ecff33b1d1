/** The network between machines: the peer network of production in memory, on the world's time, with chance of its own. */
import { MemoryPeerNetwork } from '@milena/shard-scheduler'
import type { World } from '../world/world.ts'

/** How long messages take while nothing is wrong. */
export const plainPath = { latencyMs: 0.2, jitterMs: 0.3 }

/** The network of a run, without faults yet. */
export function openPeerNetwork(world: World): MemoryPeerNetwork {
  const chance = world.random.of('network')
  return new MemoryPeerNetwork({
    scheduler: {
      now: () => world.nowMs,
      nextTurn: task => void world.schedule(0, task),
      after: world.after.bind(world)
    },
    random: () => chance.fraction(),
    path: plainPath,
    overwriteHandled: true
  })
}
