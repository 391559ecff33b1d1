/**
 * A few replicas in a world that does nothing by itself: messages wait until they are delivered, disks until they are told to
 * finish. For transcripts and for tests that tell a story. Chance is fixed: replica n waits `electionTicks + n - 1` ticks.
 */
import assert from 'node:assert'
import type { Outcome, Proposal, RaftConfig } from '../contract.ts'
import { defaultRaftConfig } from '../defaults.ts'
import type { Effect } from '../effects.ts'
import type { Membership, ReplicaId } from '../membership.ts'
import type { Message } from '../messages.ts'
import type { Term } from '../entries.ts'
import type { SurvivorReport } from '../recovery.ts'
import { MemoryHost, type Payload } from './memory-host.ts'

export interface WorldOptions {
  readonly voters: readonly ReplicaId[]
  readonly learners?: readonly ReplicaId[]
  /** Replicas that wait to be added. */
  readonly waiting?: readonly ReplicaId[]
  readonly config?: Partial<RaftConfig>
  readonly observe?: (host: MemoryHost, effect: Effect<Payload>) => void
}

/** Which messages: from whom, to whom, of what kind; what is left out matches all. */
export interface Which {
  readonly from?: ReplicaId
  readonly to?: ReplicaId
  readonly kind?: Message<Payload>['kind']
}

export class World {
  readonly hosts = new Map<ReplicaId, MemoryHost>()
  network: Message<Payload>[] = []
  /** Everything that was sent so far, lost or not. */
  readonly #sent: Message<Payload>[] = []
  /** Every effect so far, by replica. */
  readonly effects = new Map<ReplicaId, Effect<Payload>[]>()
  readonly #options: WorldOptions
  /** Ids whose life is over: nobody hears what is sent to them. */
  readonly #retired = new Set<ReplicaId>()

  constructor(options: WorldOptions) {
    this.#options = options
    const { voters, learners = [], waiting = [] } = options
    const bootstrap: Membership = { kind: 'simple', voters, learners }
    for (const id of [...voters, ...learners, ...waiting]) {
      this.hosts.set(id, this.#newHost(id, waiting.includes(id) ? undefined : bootstrap))
    }
  }

  #newHost(id: ReplicaId, bootstrap: Membership | undefined): MemoryHost {
    const { config = {}, observe } = this.#options
    const effects: Effect<Payload>[] = []
    this.effects.set(id, effects)
    const host: MemoryHost = new MemoryHost({
      config: { ...defaultRaftConfig, random: bound => (id - 1) % bound, ...config, id },
      bootstrap,
      send: message => {
        this.network.push(message)
        this.#sent.push(message)
      },
      observe: effect => {
        effects.push(effect)
        observe?.(host, effect)
      }
    })
    return host
  }

  /** What a replica says for a recovery; its disk has everything. */
  report(id: ReplicaId): SurvivorReport {
    const { node } = this.host(id)
    const { term, commitIndex, membership } = node
    return { id, term, last: node.status.last, commitIndex, membership: membership! }
  }

  /** The group goes on from replica `id`, whose life under `next` begins with its log. */
  recover(id: ReplicaId, next: ReplicaId, term: Term): void {
    const former = this.host(id)
    const host = this.#newHost(next, undefined)
    host.takeOver(former, term)
    this.#replace(id, next, host)
  }

  /** Replica `id` begins a new life under `next`, with nothing. */
  beginAnew(id: ReplicaId, next: ReplicaId): void {
    this.#replace(id, next, this.#newHost(next, undefined))
  }

  #replace(id: ReplicaId, next: ReplicaId, host: MemoryHost): void {
    this.hosts.delete(id)
    this.#retired.add(id)
    this.hosts.set(next, host)
  }

  host(id: ReplicaId): MemoryHost {
    const host = this.hosts.get(id)
    assert(host !== undefined, `there is no replica ${id}`)
    return host
  }

  tick(id: ReplicaId, count = 1): void {
    for (let tick = 0; tick < count; tick++) this.host(id).run(this.host(id).node.tick())
  }

  /** Everyone's clock goes on, and everything that happens is carried through. */
  pass(ticks: number): void {
    for (let tick = 0; tick < ticks; tick++) {
      for (const id of this.hosts.keys()) this.tick(id)
      this.settle()
    }
  }

  #take({ from, to, kind }: Which): Message<Payload>[] {
    const matches = (message: Message<Payload>): boolean =>
      (from ?? message.from) === message.from &&
      (to ?? message.to) === message.to &&
      (kind ?? message.kind) === message.kind
    const taken = this.network.filter(matches)
    this.network = this.network.filter(message => !matches(message))
    return taken
  }

  /** Delivers what is under way now, not what that causes. Returns it. */
  deliver(which: Which = {}): readonly Message<Payload>[] {
    const messages = this.#take(which)
    for (const message of messages) this.give(message)
    return messages
  }

  give(message: Message<Payload>): void {
    if (this.#retired.has(message.to)) return
    const host = this.host(message.to)
    host.run(host.node.step(message))
  }

  /** Loses what is under way. Returns it, to deliver it later. */
  drop(which: Which = {}): readonly Message<Payload>[] {
    return this.#take(which)
  }

  /** Delivers and writes until nothing happens any more. Messages to and from `without` are lost. */
  settle(without: readonly ReplicaId[] = []): void {
    for (let round = 0; round < 100; round++) {
      for (const id of without) {
        this.drop({ from: id })
        this.drop({ to: id })
      }
      const writing = (host: MemoryHost): boolean => host.hardStateWrites.length + host.logWrites.length > 0
      const busy = [...this.hosts.values()].some(host => !without.includes(host.id) && writing(host))
      if (!busy && this.network.length === 0) return
      this.deliver()
      for (const host of this.hosts.values()) if (!without.includes(host.id)) host.flush()
    }
    assert.fail('it never ends')
  }

  /** Makes `id` the leader, with everybody's help. */
  elect(id: ReplicaId): void {
    this.host(id).run(this.host(id).node.campaign())
    this.settle()
    assert.equal(this.host(id).node.roleKind, 'leader')
  }

  /** Carries out what was accepted; otherwise fails. */
  accepted<Accepted>(id: ReplicaId, outcome: Outcome<Payload, Accepted>): Accepted {
    assert(outcome.kind === 'accepted', `${outcome.kind} instead of accepted`)
    this.host(id).run(outcome.effects)
    return outcome
  }

  propose(id: ReplicaId, ...payloads: readonly string[]): void {
    const proposals: Proposal<Payload>[] = payloads.map(payload => ({ payload, width: 1, bytes: payload.length }))
    this.accepted(id, this.host(id).node.propose(proposals))
  }

  changeMembership(id: ReplicaId, voters: readonly ReplicaId[], learners: readonly ReplicaId[] = []): void {
    this.accepted(id, this.host(id).node.proposeMembership({ voters, learners }))
  }

  /** What a replica sent of a kind, lost or not. */
  sent<Kind extends Message<Payload>['kind']>(id: ReplicaId, kind: Kind): Extract<Message<Payload>, { kind: Kind }>[] {
    return this.#sent.filter(
      (message): message is Extract<Message<Payload>, { kind: Kind }> => message.from === id && message.kind === kind
    )
  }

  /** Effects of a kind that a replica had. */
  seen<Kind extends Effect<Payload>['kind']>(id: ReplicaId, kind: Kind): Extract<Effect<Payload>, { kind: Kind }>[] {
    const effects = this.effects.get(id) ?? []
    return effects.filter((effect): effect is Extract<Effect<Payload>, { kind: Kind }> => effect.kind === kind)
  }
}
