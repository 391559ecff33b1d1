/**
 * One run at the Raft level: machines with one replica each of one group, clients, an operator, faults; then a phase in which
 * everything works and must. All from one seed.
 *
 *     0 ────────────── faults ──────────────► faultMs ── heals ──► 10 s to recover ──► a follower comes and goes ──► end
 */
import { openRaftNode, type HardState, type OpenRaftNode, type RaftConfig, type ReplicaId } from '@milena/raft'
import type { Random } from '../world/random.ts'
import type { RunReport } from '../world/run-report.ts'
import { runSimulation, type RunOptions, type Simulation } from '../world/simulation.ts'
import { Swarm } from '../world/swarm.ts'
import { World } from '../world/world.ts'
import { AcknowledgedIsDurable } from './checkers/acknowledged-is-durable.ts'
import { CommitNeedsQuorum } from './checkers/commit-needs-quorum.ts'
import { ElectionSafety } from './checkers/election-safety.ts'
import { LeaderAppendOnly } from './checkers/leader-append-only.ts'
import { LeaderCompleteness } from './checkers/leader-completeness.ts'
import { LinearizableReads } from './checkers/linearizable-reads.ts'
import { LogMatching } from './checkers/log-matching.ts'
import { MembershipChanges } from './checkers/membership-changes.ts'
import { OneVoteATerm } from './checkers/one-vote-a-term.ts'
import { StateMachineSafety } from './checkers/state-machine-safety.ts'
import { HostPings } from './host-pings.ts'
import { Observer } from './observer.ts'
import { RaftFaults } from './raft-faults.ts'
import { RaftMachine, type RaftSite } from './raft-machine.ts'
import { RaftNetwork } from './raft-network.ts'
import { RaftWorkload } from './raft-workload.ts'

/** Time in which everything must work again after the last fault. */
const RECOVERY_MS = 10_000

/** Seconds more that replicas may take to fetch what they lack. */
const CATCH_UP_ROUNDS = 120

/** Attempts, 100 ms apart, of which one proposal must be taken. */
const PROPOSE_ATTEMPTS = 20

/** Time in which a leader that is cut off must notice that it leads nobody: two long election timeouts, drifting clocks, sleep. */
const ABANDONED_MS = 8000

/** Where a planted bug may enter: between the simulation and what it tests, never in it. */
export interface RaftPlant {
  readonly open?: (open: OpenRaftNode) => OpenRaftNode
  readonly recall?: (hardState: HardState) => HardState
  readonly config?: (config: RaftConfig) => RaftConfig
  /** A replica that lost its disk returns under its old id, as if nothing had happened. */
  readonly keepsIdentity?: boolean
}

/** Runs a seed; a violation is in the report. */
export function runRaft(options: RunOptions<RaftPlant>): Promise<RunReport> {
  return runSimulation(new RaftSimulation(options))
}

class RaftSimulation implements Simulation {
  readonly world: World
  readonly swarm: Swarm
  readonly #random: Random
  readonly #faultMs: number
  readonly #machines: RaftMachine[]
  readonly #observer: Observer
  readonly #workload: RaftWorkload
  readonly #faults: RaftFaults
  readonly #pings: HostPings

  constructor({ seed, seconds, without, print, plant }: RunOptions<RaftPlant>) {
    const world = new World({ seed, print })
    this.world = world
    this.#random = world.random.of('shape')
    this.#faultMs = seconds * 1000
    this.#observer = new Observer(world)
    this.#observer.checkers = checkersOf(this.#observer)
    const network = new RaftNetwork(
      world,
      (machine, parcel) => this.#machines[machine]?.receive(parcel),
      fault => this.swarm.count(fault)
    )
    const site = this.#site(network, plant ?? {})
    const machineCount = this.#random.pick([1, 2, 3, 3, 3, 4, 5, 5, 6])
    this.#machines = Array.from({ length: machineCount }, (_, number) => new RaftMachine(number, number + 1, site))
    const voterCount = Math.min(machineCount, this.#random.pick([1, 3, 3, 3, 5]))
    this.#workload = new RaftWorkload(world, this.#machines, this.#observer, voterCount)
    this.#pings = new HostPings(world, this.#machines, network)
    this.#faults = new RaftFaults(world, this.#machines, network, this.#observer, this.#workload, {
      keepsIdentity: plant?.keepsIdentity ?? false
    })
    this.swarm = new Swarm(world, this.#faults.kinds, without)
    const voters = this.#machines.slice(0, voterCount)
    for (const machine of voters) {
      machine.bootstrap({ kind: 'simple', voters: voters.map(({ id }) => id), learners: [] })
    }
  }

  run(): void {
    for (const machine of this.#machines) machine.start()
    this.#pings.start()
    this.#workload.start()
    this.swarm.start()
    this.world.run(this.#faultMs)
    this.swarm.stop()
    this.#faults.heal()
    this.world.run(this.#faultMs + RECOVERY_MS)
    this.#checkRecovered()
    this.#observer.finished()
    this.#checkReturningFollower()
    this.#checkAbandonedLeader()
  }

  get operationCount(): number {
    return this.#observer.committed.length
  }

  #site(network: RaftNetwork, plant: RaftPlant): RaftSite {
    const { pick } = this.#random
    const draw = pick.bind(this.#random)
    const electionTicks = draw([5, 10, 10, 20])
    const shape = {
      electionTicks,
      heartbeatTicks: draw([1, 1, 2, 3]),
      quiesceTicks: draw([Infinity, 3, 10]),
      preVote: true,
      checkQuorum: true,
      inflightCountMax: draw([1, 4, 64]),
      inflightBytesMax: draw([2000, 8 << 20]),
      appendBytesMax: draw([2000, 4000, 1 << 20]),
      uncommittedBytesMax: draw([20_000, 64 << 20])
    }
    const prefers = this.#random.chance(0.3)
    const config = (id: ReplicaId): RaftConfig => {
      const chance = this.world.random.of(`replica ${id}`)
      const settings = {
        ...shape,
        id,
        priority: prefers ? ([100, 50, 1][id % 3] ?? 100) : 100,
        random: (bound: number) => chance.below(bound)
      }
      return plant.config?.(settings) ?? settings
    }
    return {
      world: this.world,
      network,
      observer: this.#observer,
      open: plant.open?.(openRaftNode) ?? openRaftNode,
      config,
      tickMs: draw([25, 50, 100]),
      skipsIdleTicks: this.#random.chance(0.5),
      readFailureRate: draw([0, 0, 0.05]),
      recall: plant.recall ?? (hardState => hardState)
    }
  }

  get #isJoint(): boolean {
    return this.#workload.leader?.node?.membership?.kind === 'joint'
  }

  /** Proposals go on meanwhile: where little may be uncommitted, the leader may have to refuse for a moment. */
  #proposeSoon(): boolean {
    for (let attempt = 0; attempt < PROPOSE_ATTEMPTS; attempt++) {
      const { leader } = this.#workload
      if (leader !== undefined && this.#workload.propose(leader, 1)) return true
      this.world.run(this.world.nowMs + 100)
    }
    return false
  }

  /** Faults are over: somebody leads, proposals commit, everybody has everything, nothing is damaged or half changed. */
  #checkRecovered(): void {
    const { leader } = this.#workload
    const status = leader?.node
    if (leader === undefined || status === undefined)
      return this.world.violated('liveness', 'nobody leads after 10 s without faults')
    // A change may have begun just now; it must end.
    for (let round = 0; round < CATCH_UP_ROUNDS && this.#isJoint; round++) this.world.run(this.world.nowMs + 1000)
    if (this.#isJoint) this.world.violated('liveness', 'the membership stays joint')
    const before = this.#observer.committedIndex
    if (!this.#proposeSoon()) this.world.violated('liveness', 'leaders refuse proposals')
    this.world.run(this.world.nowMs + 3000)
    if (this.#observer.committedIndex <= before) this.world.violated('liveness', `nothing commits after ${before}`)
    // Small windows make catching up slow; it may take longer than everything else.
    for (
      let round = 0;
      round < CATCH_UP_ROUNDS && !this.#machines.every(other => other.appliedIndex >= before);
      round++
    ) {
      this.world.run(this.world.nowMs + 1000)
    }
    for (const machine of this.#machines) this.#checkCaughtUp(machine, before)
  }

  #checkCaughtUp(machine: RaftMachine, committed: number): void {
    const membership = this.#workload.leader?.node?.membership
    if (membership?.kind !== 'simple') return
    if (!membership.voters.includes(machine.id) && !membership.learners.includes(machine.id)) return
    if (machine.appliedIndex < committed) {
      this.world.violated('liveness', `replica ${machine.id} is at ${machine.appliedIndex}, committed is ${committed}`)
    }
    if (machine.durable.damaged.size > 0) {
      this.world.violated('liveness', `replica ${machine.id} still has ${machine.durable.damaged.size} damaged entries`)
    }
  }

  /** A follower that was cut off for a while unseats nobody when it returns (section 9.6 of the dissertation). */
  #checkReturningFollower(): void {
    const { leader } = this.#workload
    const term = leader?.node?.term
    const follower = this.#machines.find(machine => machine !== leader && machine.node?.roleKind === 'follower')
    if (leader === undefined || term === undefined || follower === undefined || this.#machines.length < 3) return
    const membership = leader.node?.membership
    if (membership?.kind !== 'simple' || !membership.voters.includes(follower.id)) return
    // A change that the operator still makes may remove the leader.
    if (!this.#workload.isSettled) return
    // Voters whose disks are gone still count: without the follower a majority must be there.
    const present = this.#machines.filter(machine => machine !== follower && membership.voters.includes(machine.id))
    if (present.length * 2 <= membership.voters.length) return
    this.#faults.isolate(follower, 6000)
    this.world.run(this.world.nowMs + 9000)
    const after = this.#workload.leader
    if (after !== leader || leader.node?.term !== term) {
      this.world.violated(
        'stable-leadership',
        `replica ${follower.id} returns, and ${leader.id} of term ${term} leads no more`
      )
    }
  }

  /** A leader that hears from nobody leads no more (section 6.2 of the dissertation): clients must look elsewhere. */
  #checkAbandonedLeader(): void {
    const { leader } = this.#workload
    const membership = leader?.node?.membership
    if (leader === undefined || membership?.kind !== 'simple' || !this.#workload.isSettled) return
    if (membership.voters.length < 2 || !membership.voters.includes(leader.id)) return
    this.#faults.isolate(leader, ABANDONED_MS + 1000)
    this.world.run(this.world.nowMs + ABANDONED_MS)
    if (leader.node?.roleKind === 'leader') {
      this.world.violated('abandoned-leader', `replica ${leader.id} leads on, ${ABANDONED_MS} ms after it was cut off`)
    }
  }
}

function checkersOf(observer: Observer) {
  return [
    new ElectionSafety(observer),
    new LeaderAppendOnly(observer),
    new LogMatching(observer),
    new LeaderCompleteness(observer),
    new StateMachineSafety(observer),
    new CommitNeedsQuorum(observer),
    new OneVoteATerm(observer),
    new AcknowledgedIsDurable(observer),
    new MembershipChanges(observer),
    new LinearizableReads(observer)
  ]
}
