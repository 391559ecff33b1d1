/**
 * P42, what must be so once faults are over: every shard answers, every partition has a leader, takes writes and has all its
 * replicas in sync, nothing moves any more and nothing is left of moves, all copies of the metadata agree. Then every partition is read from its beginning.
 */
import { toSnapshot } from '@milena/broker/testing'
import type { World } from '../world/world.ts'
import type { Admin } from './admin.ts'
import type { ClientSite } from './client.ts'
import type { ClusterNode } from './cluster-node.ts'
import { Consumer } from './consumer.ts'
import type { Fleet } from './fleet.ts'
import { Producer } from './producer.ts'
import type { ShardProcess } from './shard-process.ts'

/** Time in which everything must work again, ms. */
const RECOVERY_MS = 30_000
/** Time in which a write is acknowledged once it does, ms. */
const WRITE_MS = 5000
const LOOK_MS = 250

export class Recovery {
  readonly #site: ClientSite
  readonly #world: World
  readonly #nodes: readonly ClusterNode[]
  readonly #admin: Admin
  readonly #fleet: Fleet

  constructor(site: ClientSite, nodes: readonly ClusterNode[], admin: Admin, fleet: Fleet) {
    this.#site = site
    this.#world = site.world
    this.#nodes = nodes
    this.#admin = admin
    this.#fleet = fleet
  }

  async run(): Promise<void> {
    this.#site.stopped = true
    await this.#within(RECOVERY_MS, 'all clients have their answers', this.#clientsDone())
    await this.#within(RECOVERY_MS, 'it is out of maintenance', this.#admin.endMaintenance())
    await this.#settle()
    await this.#within(RECOVERY_MS, 'every partition takes writes', this.#writeEverywhere())
    await this.#within(RECOVERY_MS, 'every partition is read', this.#readEverything())
    // Load may have been evened out meanwhile, over nodes that came or left a moment ago.
    await this.#settle()
    await this.#within(RECOVERY_MS, 'everything is compared', this.#site.history.finished(this.#nodes))
  }

  /** Runs until all is as it should be. */
  async #settle(): Promise<void> {
    const endMs = this.#world.nowMs + RECOVERY_MS
    for (let problem = this.#problem(); problem !== undefined; problem = this.#problem()) {
      if (this.#world.nowMs > endMs) this.#fail(problem)
      await this.#world.runWithPromises(this.#world.nowMs + LOOK_MS)
    }
  }

  async #clientsDone(): Promise<void> {
    while (this.#site.busyCount > 0) await this.#admin.sleep(LOOK_MS)
  }

  async #writeEverywhere(): Promise<void> {
    const producer = new Producer(this.#site, 'last producer', [100])
    for (const { name, topicId, partitionCount } of this.#site.history.living) {
      for (let partition = 0; partition < partitionCount; partition++) {
        const history = this.#site.history.partition(name, topicId, partition)
        const written = await producer.write(history, WRITE_MS)
        if (!written) this.#fail(`${history.name} takes no writes`)
      }
    }
  }

  async #readEverything(): Promise<void> {
    const consumer = new Consumer(this.#site, 'last consumer')
    for (const history of this.#site.history.partitions.values()) {
      await consumer.read(history, (next, watermark) => watermark >= 0 && next >= watermark)
    }
  }

  /** What is not as it should be. */
  #problem(): string | undefined {
    const processes = this.#nodes.flatMap(({ shards }) => shards.map(({ running }) => running))
    for (const node of this.#nodes) if (!node.serves) return `${node.name} does not serve`
    const { overdue } = this.#fleet
    if (overdue !== undefined) return `${overdue.name} was to leave, which was confirmed, and is still there`
    const revisions = processes.map(process => process?.open.metadata.revision)
    if (new Set(revisions).size > 1) return `shards are at revisions ${revisions.join(', ')}`
    for (const process of processes) {
      const view = process?.open.host.cluster.view()
      for (const topic of view?.topics() ?? []) {
        for (const { partition, leader, replicas, inSyncReplicas } of topic.partitions) {
          const name = `${topic.name}-${partition}, as broker ${process?.brokerId} knows`
          if (leader < 0) return `nobody leads ${name}`
          if (inSyncReplicas.length < replicas.length)
            return `${inSyncReplicas.join(' ')} of ${replicas.join(' ')} keep up: ${name}`
        }
      }
      if ((process?.open.metadata.reassigning.size ?? 0) > 0) return 'replicas still move'
      for (const { nodeId, mode } of process?.open.metadata.nodes.values() ?? []) {
        if (mode === 'decommissioning') return `node ${nodeId} is asked to leave and has not left`
      }
      for (const { name, partitions } of process?.open.metadata.topics.values() ?? []) {
        const kept = partitions.findIndex(({ leaving }) => leaving !== undefined)
        if (kept >= 0) return `${partitions[kept]?.leaving?.join(' ')} keep what a move of ${name}-${kept} gave them`
      }
    }
    return undefined
  }

  #fail(explanation: string): never {
    for (const { shards } of this.#nodes) {
      for (const { name, running } of shards) if (running !== undefined) this.#trace(name, running)
    }
    return this.#world.violated('liveness', explanation)
  }

  #trace(name: string, { open }: ShardProcess): void {
    const { trace } = this.#world
    if (!trace.printing) return
    trace.line(name, 'metadata', JSON.stringify(toSnapshot(open.metadata).topics))
    trace.line(name, 'store', JSON.stringify(open.store.status()))
    for (const [groupName, group] of open.replicas.groups) {
      const { role, term, leader, committedOffset, membership, log, inSync } = group
      const { flushedOffset, endOffset } = log
      const state = { role, term, leader, committedOffset, flushedOffset, endOffset, membership, inSync }
      trace.line(name, 'group', `${groupName} ${JSON.stringify(state)} ${JSON.stringify(group.followers())}`)
    }
  }

  /** Lets the world go on until `work` is done. */
  async #within(limitMs: number, what: string, work: Promise<void>): Promise<void> {
    const endMs = this.#world.nowMs + limitMs
    let isDone = false
    work.then(
      () => (isDone = true),
      (error: unknown) => this.#world.fail(error)
    )
    while (!isDone) {
      if (this.#world.nowMs > endMs) this.#fail(`it takes longer than ${limitMs} ms until ${what}`)
      await this.#world.runWithPromises(this.#world.nowMs + LOOK_MS)
    }
  }
}
