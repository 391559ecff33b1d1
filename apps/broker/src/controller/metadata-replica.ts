/**
 * A shard's own copy of the cluster's metadata. Every shard, shard 0 included, reads only its copy; the controller pushes each
 * command with the revision it leads to. Commands are applied strictly in order: after a gap (the shard was away) the whole
 * state is fetched again.
 *
 * Listeners run for every new state, one after the other, and the controller hears "applied" only when they are done: so when
 * a topic is reported as created, its owner has opened it.
 */
import type { Mesh } from '@milena/shard-scheduler'
import { apply } from './apply.ts'
import { emptyState, type ClusterState } from './cluster-state.ts'
import { controllerServices, decodeMessage, encodeMessage, replicaServices, type AppliedCommand } from './messages.ts'

/** Called with the state before and after. */
export type StateListener = (next: ClusterState, previous: ClusterState) => void | Promise<void>

const CONTROLLER_SHARD = 0
const FETCH_RETRY_MS = 100

export class MetadataReplica {
  readonly #mesh: Mesh
  readonly #sleep: (ms: number) => Promise<void>
  readonly #listeners: StateListener[] = []
  #state: ClusterState = emptyState
  #loaded = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: { mesh: Mesh; sleep: (ms: number) => Promise<void> }) {
    this.#mesh = options.mesh
    this.#sleep = options.sleep
    this.#mesh.serve(replicaServices.apply, async payload => {
      // Before the first load there is nothing to apply to, and that load will bring this command as well.
      if (this.#loaded) await this.#inTurn(() => this.#apply(decodeMessage<AppliedCommand>(payload)))
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

  /** Fetches the state from the controller; tries until it answers. */
  async load(): Promise<void> {
    await this.#inTurn(() => this.#fetch())
  }

  async #apply({ revision, command }: AppliedCommand): Promise<void> {
    if (revision <= this.#state.revision) return
    if (revision === this.#state.revision + 1) return this.#become(apply(this.#state, command).state)
    await this.#fetch()
  }

  async #fetch(): Promise<void> {
    for (;;) {
      try {
        const answer = await this.#mesh.submitTo(CONTROLLER_SHARD, controllerServices.snapshot, new Uint8Array(0))
        const { state } = decodeMessage<{ state: ClusterState }>(answer)
        this.#loaded = true
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
