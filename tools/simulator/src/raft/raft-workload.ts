/**
 * What a group is used for: clients who propose and read, an operator who changes the membership, moves leadership and
 * replaces disks that are lost.
 */
import { voterSets, type Membership, type Proposal, type RaftNode, type ReplicaId } from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { World } from '../world/world.ts'
import type { Payload } from './log-image.ts'
import type { Observer } from './observer.ts'
import type { RaftMachine } from './raft-machine.ts'

/** How often the operator looks. */
const OPERATOR_MS = 400

/** Entries that a learner may lack when it is made a voter. */
const CAUGHT_UP_INDEXES = 60

export class RaftWorkload {
  /** Proposals that a leader took, and reads that were answered or given up. */
  proposedCount = 0
  readonly #world: World
  readonly #machines: readonly RaftMachine[]
  readonly #random: Random
  /** Mean time between calls of clients. */
  readonly #callMs: number
  #payload = 0
  #request = 0
  /** Machines that are to hold voters. */
  #desired: readonly RaftMachine[]

  constructor(world: World, machines: readonly RaftMachine[], observer: Observer, voterCount: number) {
    this.#world = world
    this.#machines = machines
    this.#observer = observer
    this.#random = world.random.of('workload')
    this.#callMs = this.#random.pick([15, 30, 60, 200])
    this.#desired = machines.slice(0, voterCount)
  }

  readonly #observer: Observer

  start(): void {
    this.#call()
    this.#operate()
  }

  /** The running leader of the highest term. */
  get leader(): RaftMachine | undefined {
    let best: RaftMachine | undefined
    for (const machine of this.#machines) {
      const { node } = machine
      if (node?.roleKind !== 'leader' || machine.isHeldUp) continue
      if (best === undefined || node.term > (best.node?.term ?? 0)) best = machine
    }
    return best
  }

  /** The voters are those that the operator wants: no change of the membership is to come. */
  get isSettled(): boolean {
    const membership = this.leader?.node?.membership
    const wanted = this.#desired.map(({ id }) => id)
    return membership?.kind === 'simple' && membership.learners.length === 0 && sameMembers(membership.voters, wanted)
  }

  /** Another set of machines is to hold the voters from now on. */
  wishOthers(): boolean {
    const count = Math.min(this.#random.pick([1, 2, 3, 3, 3, 4, 5, 5]), this.#machines.length)
    this.#desired = this.#random.shuffled(this.#machines).slice(0, count)
    return true
  }

  transfer(): boolean {
    const { leader } = this
    const node = leader?.node
    const voters = node?.membership === undefined ? [] : voterSets(node.membership).flat()
    if (leader === undefined || node === undefined || voters.length === 0) return false
    leader.tellTicks()
    const outcome = node.transferLeadership(this.#random.pick(voters))
    if (outcome.kind === 'accepted') leader.input(outcome.effects)
    return outcome.kind === 'accepted'
  }

  /** Proposes `count` entries at a machine; false when it does not take them. */
  propose(machine: RaftMachine, count = this.#random.between(1, 3)): boolean {
    const { node } = machine
    if (node === undefined || machine.isHeldUp) return false
    const proposals: Proposal<Payload>[] = []
    for (let made = 0; made < count; made++) {
      proposals.push({
        payload: ++this.#payload,
        width: this.#random.pick([1, 1, 2, 5]),
        bytes: this.#random.pick([100, 1000, 5000])
      })
    }
    machine.tellTicks()
    const outcome = node.propose(proposals)
    if (outcome.kind !== 'accepted') return false
    this.proposedCount += count
    machine.input(outcome.effects)
    return true
  }

  #call(): void {
    this.#world.schedule(this.#random.exponential(this.#callMs), () => {
      this.#call()
      const leaders = this.#machines.filter(({ node }) => node?.roleKind === 'leader')
      const everywhere = leaders.length === 0 || this.#random.chance(0.1)
      const machine = this.#random.pick(everywhere ? this.#machines : leaders)
      if (this.#random.chance(0.15)) this.#read(this.#random.pick(this.#machines))
      else this.propose(machine)
    })
  }

  #read(machine: RaftMachine): void {
    const { node } = machine
    if (node === undefined || machine.isHeldUp) return
    machine.tellTicks()
    const request = ++this.#request
    machine.reads.add(request)
    this.#observer.readStarted(machine, request)
    machine.input(node.readIndex(request))
  }

  #operate(): void {
    this.#world.schedule(OPERATOR_MS, () => {
      this.#operate()
      const { leader } = this
      const membership = leader?.node?.membership
      if (leader?.node === undefined || membership?.kind !== 'simple') return
      const next = this.#nextMembership(leader.node, membership)
      if (next === undefined) return
      leader.tellTicks()
      const outcome = leader.node.proposeMembership(next)
      if (outcome.kind === 'accepted') leader.input(outcome.effects)
    })
  }

  /** The next step towards the desired voters: learners first, voters once they have caught up. */
  #nextMembership(
    node: RaftNode<Payload>,
    { voters, learners }: Membership & { readonly kind: 'simple' }
  ): { readonly voters: readonly ReplicaId[]; readonly learners: readonly ReplicaId[] } | undefined {
    const wanted = this.#desired.map(({ id }) => id)
    const missing = wanted.filter(id => !voters.includes(id))
    if (missing.length === 0 && voters.length === wanted.length && learners.length === 0) return undefined
    if (missing.every(id => this.#hasCaughtUp(node, id))) return { voters: wanted, learners: [] }
    if (sameMembers(missing, learners)) return undefined
    return { voters, learners: missing }
  }

  #hasCaughtUp(node: RaftNode<Payload>, id: ReplicaId): boolean {
    const { role, commitIndex } = node.status
    const progress = role.kind === 'leader' ? role.progress.get(id) : undefined
    return progress !== undefined && progress.active && progress.matchIndex + CAUGHT_UP_INDEXES >= commitIndex
  }
}

function sameMembers(left: readonly ReplicaId[], right: readonly ReplicaId[]): boolean {
  return left.length === right.length && left.every(id => right.includes(id))
}
