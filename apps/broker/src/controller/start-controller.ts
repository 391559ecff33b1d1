/**
 * The controller's room on a shard 0: its replica of the controller's log, the controller itself, the way to whoever leads, and
 * what keeps this node's shards and the cluster in step.
 */
import type { Mesh, PeerNetwork } from '@milena/shard-scheduler'
import type { NodeIdentity } from '../node/data-folder.ts'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { ClusterKeeper } from './cluster-keeper.ts'
import { ControllerRouter } from './controller-router.ts'
import { Controller } from './controller.ts'
import type { CommandLog } from './log/command-log.ts'
import { MetadataPublisher } from './metadata/metadata-publisher.ts'

export interface ControllerRoomOptions {
  readonly self: number
  readonly identity: NodeIdentity
  readonly settings: BrokerSettings
  readonly log: CommandLog
  readonly mesh: Mesh
  readonly peers: PeerNetwork
  /** See `ControllerRouterOptions`. */
  readonly announcedLeader: () => number
  readonly clock: {
    now(): number
    monotonic(): number
    after(delayMs: number, callback: () => void): () => void
  }
  readonly logger: { info(fields: object, message: string): void; error(fields: object, message: string): void }
}

export interface ControllerRoom {
  readonly log: CommandLog
  readonly router: ControllerRouter
  close(): void
}

/** Opens it and offers its services to the shards of this node and to other nodes. */
export function openControllerRoom(options: ControllerRoomOptions): ControllerRoom {
  const { self, identity, settings, log, mesh, peers, announcedLeader, clock, logger } = options
  const publisher = new MetadataPublisher({ mesh, log, after: (ms, callback) => void clock.after(ms, callback) })
  const isReachable = (brokerId: number): boolean => brokerId === self || peers.reachable.has(brokerId)
  const controller = new Controller({ log, settings, clock, isReachable })
  const router = new ControllerRouter({ self, log, controller, publisher, mesh, peers, announcedLeader, clock })
  const keeper = new ClusterKeeper({ identity, settings, log, controller, clock, logger })
  return {
    log,
    router,
    close: () => {
      keeper.close()
      publisher.close()
    }
  }
}
