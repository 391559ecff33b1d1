/**
 * Keeps the shards of this node in step with the controller's log. Lives on shard 0, which has a replica of that log.
 *
 * Each shard is told the committed commands in order, those that gather while it works as one message. A shard that missed
 * some (it was away, a call failed) is told the revision alone and fetches the whole state. `whenPublished` says when every
 * shard that takes part has applied a revision and done what followed from it, such as opening partitions.
 */
import type { Mesh } from '@milena/shard-scheduler'
import type { AppliedCommands, CommandLog } from '../log/command-log.ts'
import { encodeMessage, meshServices } from '../messages.ts'
import type { Command } from './commands.ts'

/** How long a shard may take to apply commands (it opens the logs of its new partitions). */
const APPLY_DEADLINE_MS = 30_000
const RETRY_MS = 100

interface Follower {
  readonly shard: number
  /** Revision that it has applied; -1: not heard of since it can be reached. */
  applied: number
  /** Commands that lead from `sentRevision` to the newest one; undefined when it has to fetch. */
  pending: Command[] | undefined
  busy: boolean
}

export class MetadataPublisher {
  readonly #mesh: Mesh
  readonly #log: CommandLog
  readonly #after: (delayMs: number, callback: () => void) => void
  readonly #followers: readonly Follower[]
  #waiters: { readonly revision: number; readonly resolve: () => void }[] = []
  #closed = false

  constructor(options: { mesh: Mesh; log: CommandLog; after: (delayMs: number, callback: () => void) => void }) {
    const { mesh, log } = options
    this.#mesh = mesh
    this.#log = log
    this.#after = options.after
    this.#followers = Array.from({ length: mesh.shardCount }, (_, shard) => {
      return { shard, applied: -1, pending: undefined, busy: false }
    })
    mesh.serve(meshServices.snapshot, () => encodeMessage({ state: log.state }))
    mesh.onPeerChange((shard, reachable) => this.#peerChanged(shard, reachable))
    log.onApplied(applied => this.#publish(applied))
  }

  /** Resolves when every shard of this node that takes part has applied `revision`. */
  whenPublished(revision: number): Promise<void> {
    if (this.#isPublished(revision)) return Promise.resolve()
    return new Promise(resolve => this.#waiters.push({ revision, resolve }))
  }

  close(): void {
    this.#closed = true
    this.#settle()
  }

  #publish({ commands }: AppliedCommands): void {
    for (const follower of this.#followers) {
      follower.pending?.push(...commands)
      this.#start(follower)
    }
  }

  #peerChanged(shard: number, reachable: boolean): void {
    const follower = this.#followers[shard]
    if (follower === undefined) return
    follower.pending = undefined
    follower.applied = -1
    if (reachable) this.#start(follower)
    else this.#settle()
  }

  #start(follower: Follower): void {
    if (follower.busy || this.#closed) return
    follower.busy = true
    void this.#push(follower).finally(() => {
      follower.busy = false
      this.#settle()
    })
  }

  async #push(follower: Follower): Promise<void> {
    while (!this.#closed && follower.applied < this.#log.state.revision && this.#mesh.reachable.has(follower.shard)) {
      const { revision } = this.#log.state
      const commands = follower.pending ?? []
      follower.pending = []
      try {
        const message = encodeMessage({ revision, commands } satisfies AppliedCommands)
        await this.#mesh.submitTo(follower.shard, meshServices.apply, message, { deadlineMs: APPLY_DEADLINE_MS })
        follower.applied = revision
        this.#settle()
      } catch {
        follower.pending = undefined
        await new Promise<void>(resolve => this.#after(RETRY_MS, resolve))
      }
    }
  }

  #isPublished(revision: number): boolean {
    return this.#closed || this.#followers.every(({ applied }) => applied < 0 || applied >= revision)
  }

  #settle(): void {
    const ready = this.#waiters.filter(({ revision }) => this.#isPublished(revision))
    if (ready.length === 0) return
    this.#waiters = this.#waiters.filter(({ revision }) => !this.#isPublished(revision))
    for (const { resolve } of ready) resolve()
  }
}
