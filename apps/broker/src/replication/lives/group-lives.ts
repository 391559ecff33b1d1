/**
 * A replica that is open ends its life and begins another: let in anew by its leader because what it holds is damaged, or because
 * its group was recovered from another replica, or from itself.
 *
 *     halt (its node acts no more) ──► what it wrote is durable, or dropped ──► the next life is kept ──► open it, go on
 *
 * One change of life at a time and group. A crash in between finds the former life or the next one.
 */
import type { GroupRecovery, GroupRequest } from '../contract.ts'
import type { GroupParts } from '../group/group-host.ts'
import type { Group } from '../group/group.ts'
import type { ReplicationLog } from '../host/host-options.ts'
import { encodeRecovery, recoveryKey } from '../kept/group-state.ts'
import type { StateWriter } from '../kept/state-writer.ts'
import { stateOfNewLife } from './open-groups.ts'

export interface GroupLivesOptions {
  readonly state: StateWriter
  readonly open: (request: GroupRequest) => Promise<GroupParts | undefined>
  /** The group was not removed meanwhile. */
  readonly isOpen: (group: Group) => boolean
  /** Gives the group its new life, within a turn of the host. */
  readonly begin: (group: Group, parts: GroupParts, change: LifeChange) => void
  readonly log: ReplicationLog
}

/** What becomes of what a replica held: it goes on with it, has lost it to be given it again, or has lost it for another's. */
export type LifeChange = 'goesOn' | 'replaced' | 'forgotten'

export class GroupLives {
  readonly #options: GroupLivesOptions
  readonly #changes = new Map<Group, Promise<void>>()

  constructor(options: GroupLivesOptions) {
    this.#options = options
  }

  /** The group's leader lets a damaged replica in anew: what it held is dropped, and comes from the others. */
  beginAnew(group: Group): void {
    const { nextLife } = group
    if (nextLife === undefined) return
    group.nextLife = undefined
    const { state, log } = this.#options
    void this.#change(group, async () => {
      log.warn({ group: group.name }, 'a damaged replica is replaced: its log is fetched again from the others')
      group.halt()
      group.writes.stop()
      await state.putAll(stateOfNewLife(group.name, nextLife))
      await this.#reopen(group, group.request, 'replaced')
    })
  }

  /** See `ReplicaHost.recover`. */
  recover(group: Group | undefined, recovery: GroupRecovery, isPart: boolean): Promise<void> {
    if (group === undefined) return Promise.resolve()
    return this.#change(group, async () => {
      if (group.recovery >= recovery.number) return
      if (isPart) return this.#note(group, recovery.number)
      const { name } = group
      const survives = recovery.survivor === group.self
      group.halt()
      if (survives) {
        this.#options.log.warn({ group: name, ...recovery }, 'unclean recovery: this group goes on from this replica')
        await group.writes.whenIdle()
        await group.log.flush()
      } else {
        this.#options.log.warn(
          { group: name, ...recovery },
          'unclean recovery from another replica: begins with nothing'
        )
        group.writes.stop()
      }
      await this.#reopen(group, { ...group.request, recovery }, survives ? 'goesOn' : 'forgotten')
    })
  }

  async #note(group: Group, number: number): Promise<void> {
    await this.#options.state.putAll(new Map([[recoveryKey(group.name), encodeRecovery(number)]]))
    group.recovery = number
  }

  async #reopen(group: Group, request: GroupRequest, change: LifeChange): Promise<void> {
    const parts = await this.#options.open(request)
    if (parts !== undefined && this.#options.isOpen(group)) this.#options.begin(group, parts, change)
  }

  /** After what was begun before. A failure is the store's, which says so itself. */
  #change(group: Group, work: () => Promise<void>): Promise<void> {
    const before = this.#changes.get(group) ?? Promise.resolve()
    const change = before.then(async () => {
      if (this.#options.isOpen(group)) await work()
    })
    const ended = change.catch((error: unknown) => {
      this.#options.log.error({ group: group.name, err: error }, 'a replica could not begin a new life')
    })
    this.#changes.set(group, ended)
    void ended.then(() => this.#changes.get(group) === ended && this.#changes.delete(group))
    return change
  }
}
