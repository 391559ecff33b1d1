/**
 * A shard's own copy of the cluster's metadata. Every shard, shard 0 included, reads only its copy; shard 0 of the node tells
 * it the committed commands with the revision they lead to. They are applied strictly in order: after a gap (the shard was
 * away) the whole state is fetched again.
 *
 * Listeners run for every new state, one after the other, and shard 0 hears "applied" only when they are done: so when a topic
 * is reported as created, this node's replicas of it are open.
 */
import type { Mesh } from '@milena/shard-scheduler'
import type { AppliedCommands } from '../log/command-log.ts'
import { decodeMessage, encodeMessage, meshServices } from '../messages.ts'
import { apply } from './apply.ts'
import { emptyState, type ClusterState } from './cluster-state.ts'

/** Called with the state before and after. */
export type StateListener = (next: ClusterState, previous: ClusterState) => void | Promise<void>

const METADATA_SHARD = 0
const FETCH_RETRY_MS = 100

export class MetadataReplica {
  readonly #mesh: Mesh
  readonly #sleep: (ms: number) => Promise<void>
  readonly #listeners: StateListener[] = []
  #state: ClusterState = emptyState
  #loading = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: { mesh: Mesh; sleep: (ms: number) => Promise<void> }) {
    this.#mesh = options.mesh
    this.#sleep = options.sleep
    this.#mesh.serve(meshServices.apply, async payload => {
      // Before the first load is asked for there is nothing to apply to, and it will bring these commands as well. Once it is on
      // its way its answer may be older than they are: they wait for it.
      if (this.#loading) await this.#inTurn(() => this.#apply(decodeMessage<AppliedCommands>(payload)))
      return encodeMessage({ revision: this.#state.revision })
    })
  }

  get state(): ClusterState {
    return this.#state
  }

  /** Listeners must be added before `load`. */
  onState(listener: StateListener): void {
    this.#listeners.push(listener)
  }

  /** Fetches the state from shard 0; tries until it answers. */
  async load(): Promise<void> {
    this.#loading = true
    await this.#inTurn(() => this.#fetch())
  }

  /** Runs `work` when every listener is done with all that came so far, and lets none begin before it is done itself. */
  betweenChanges<T>(work: () => Promise<T>): Promise<T> {
    return this.#inTurn(work)
  }

  async #apply({ revision, commands }: AppliedCommands): Promise<void> {
    const known = this.#state.revision
    if (revision <= known) return
    const missing = revision - known
    if (missing > commands.length) return this.#fetch()
    const next = commands.slice(commands.length - missing).reduce((state, c) => apply(state, c).state, this.#state)
    return this.#become(next)
  }

  async #fetch(): Promise<void> {
    for (;;) {
      try {
        const answer = await this.#mesh.submitTo(METADATA_SHARD, meshServices.snapshot, new Uint8Array(0))
        const { state } = decodeMessage<{ state: ClusterState }>(answer)
        if (state.revision >= this.#state.revision) await this.#become(state)
        return
      } catch (error) {
        if (!(error instanceof Error && error.name === 'MeshError')) throw error
        await this.#sleep(FETCH_RETRY_MS)
      }
    }
  }

  async #become(next: ClusterState): Promise<void> {
    const previous = this.#state
    this.#state = next
    for (const listener of this.#listeners) await listener(next, previous)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}
