/**
 * A small cluster in a bad world: messages are lost, repeated and overtaken, disks take their time, replicas crash with any part
 * of what they were writing, links break, entries rot, members come and go. One seed decides everything; a run of fewer steps is
 * the beginning of a longer one. `Observer` watches. Afterwards the world is good again and the cluster must get its work done.
 */
import assert from 'node:assert'
import { defaultRaftConfig } from '../defaults.ts'
import type { RaftConfig } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import { endOf, lastIndexOf, MemoryHost, type MemoryHostOptions, type Payload } from './memory-host.ts'
import { Observer } from './observer.ts'
import { seededRandom, type Random } from './random.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly steps: number
  readonly open?: NonNullable<MemoryHostOptions['open']>
  /** Gets a line for everything that happens. */
  readonly trace?: (line: string) => void
}

const ids = [1, 2, 3, 4, 5]

export class Chaos {
  readonly hosts = new Map<number, MemoryHost>()
  readonly observer = new Observer(this.hosts)
  readonly #options: ChaosOptions
  readonly #random: Random
  /** Of each kind of fault, how likely it is in this run; some runs are without. */
  readonly #faults: { readonly [kind in 'loss' | 'repeat' | 'overtake' | 'crash' | 'damage' | 'cut']: number }
  #network: Message<Payload>[] = []
  /** Pairs that do not hear each other, one way. */
  #cut = new Set<string>()
  #requests = 0
  #payloads = 0

  constructor(options: ChaosOptions) {
    this.#options = options
    this.#random = seededRandom(options.seed)
    const fault = (most: number): number => (this.#random(3) === 0 ? 0 : this.#random(most))
    this.#faults = {
      loss: fault(30),
      repeat: fault(20),
      overtake: fault(60),
      crash: fault(6),
      damage: fault(4),
      cut: fault(4)
    }
    const voters = this.#faults.damage === 0 ? ids.slice(0, 1 + this.#random(5)) : [1, 2, 3]
    const bootstrap: Membership = { kind: 'simple', voters, learners: [] }
    for (const id of ids) this.hosts.set(id, this.#host(id, voters.includes(id) ? bootstrap : undefined))
  }

  #host(id: number, bootstrap: Membership | undefined): MemoryHost {
    const random = this.#random
    const { seed, open } = this.#options
    const config: RaftConfig = {
      ...defaultRaftConfig,
      id,
      random: bound => random(bound),
      preVote: seed % 5 !== 0,
      checkQuorum: seed % 7 !== 0,
      priority: seed % 3 === 0 ? 20 * id : 100,
      quiesceTicks: seed % 2 === 0 ? 3 : Infinity,
      inflightCountMax: 1 + random(4),
      inflightBytesMax: 50,
      appendBytesMax: 20,
      uncommittedBytesMax: 200
    }
    const host: MemoryHost = new MemoryHost({
      config,
      bootstrap,
      send: message => this.#send(message),
      observe: effect => this.#see(host, effect),
      ...(open === undefined ? {} : { open })
    })
    host.readsAtOnce = random(2) === 0
    return host
  }

  /** Runs the bad part. */
  run(): void {
    for (let step = 0; step < this.#options.steps; step++) this.#step()
  }

  #step(): void {
    const random = this.#random
    const host = this.hosts.get(ids[random(ids.length)]!)!
    const percent = random(100)
    if (percent < 45) this.#deliver(1 + random(6))
    else if (percent < 65) this.#input(host, `tick`, () => host.run(host.node.tick(1 + random(3))))
    else if (percent < 80) this.#input(host, 'flush', () => host.flush(random(2), random(3)))
    else if (percent < 88) this.#propose()
    else this.#seldom(host, random(100))
  }

  #seldom(host: MemoryHost, percent: number): void {
    const random = this.#random
    const { crash, damage, cut } = this.#faults
    if (random(50) < crash) this.#crash(host)
    if (random(100) < damage) this.#damage()
    if (random(50) < cut) this.#changeCuts()
    if (percent < 30) this.#openReads(host)
    else if (percent < 45) this.#changeMembership()
    else if (percent < 60) this.#read(host)
    else if (percent < 65) this.#transfer()
    else if (percent < 70) this.#input(host, 'compact', () => host.compact(host.node.commitIndex - random(4)))
    else if (percent < 75) this.#sendSnapshots(host)
    else if (percent < 80) this.#input(host, 'wake', () => host.run(host.node.wake()))
    else if (percent < 85) this.#input(host, 'resign', () => host.run(host.node.resign()))
    else if (percent < 90) this.#input(host, 'campaign', () => host.run(host.node.campaign()))
    else this.#input(host, 'unreachable', () => host.run(host.node.peerUnreachable(ids[random(ids.length)]!)))
  }

  #input(host: MemoryHost, what: string, input: () => void): void {
    this.#options.trace?.(`${host.id} ${what}`)
    input()
  }

  #see(host: MemoryHost, effect: Effect<Payload>): void {
    this.#options.trace?.(`  ${host.id} ${JSON.stringify(effect)}`)
    this.observer.see(host, effect)
  }

  #send(message: Message<Payload>): void {
    const random = this.#random
    if (this.#cut.has(`${message.from}>${message.to}`) || random(100) < this.#faults.loss) return
    this.#network.push(message)
    if (random(100) < this.#faults.repeat) this.#network.push(message)
    if (this.#network.length > 300) this.#network.shift()
  }

  #deliver(count: number): void {
    const random = this.#random
    for (let delivered = 0; delivered < count; delivered++) {
      const at = random(100) < this.#faults.overtake ? random(this.#network.length) : 0
      const [message] = this.#network.splice(at, 1)
      if (message === undefined) return
      this.#options.trace?.(`> ${JSON.stringify(message)}`)
      const host = this.hosts.get(message.to)!
      host.run(host.node.step(message))
    }
  }

  #leaders(): MemoryHost[] {
    return [...this.hosts.values()].filter(host => host.node.roleKind === 'leader')
  }

  #anyLeader(): MemoryHost | undefined {
    const leaders = this.#leaders()
    return leaders[this.#random(leaders.length)]
  }

  #propose(): void {
    const random = this.#random
    const host = this.#anyLeader()
    const proposals = Array.from({ length: 1 + random(3) }, () => {
      return { payload: `p${++this.#payloads}`, width: random(2) === 0 ? 1 : 1 + random(5), bytes: random(30) }
    })
    if (host === undefined) return
    const outcome = host.node.propose(proposals)
    this.#options.trace?.(`${host.id} propose: ${outcome.kind}`)
    if (outcome.kind === 'accepted') host.run(outcome.effects)
  }

  #changeMembership(): void {
    const random = this.#random
    const shuffled = [...ids]
    for (let at = shuffled.length - 1; at > 0; at--) {
      const other = random(at + 1)
      ;[shuffled[at], shuffled[other]] = [shuffled[other]!, shuffled[at]!]
    }
    // With damage about, enough voters remain who have what one has lost.
    const count = this.#faults.damage > 0 ? 3 + random(3) : 1 + random(5)
    const next = { voters: shuffled.slice(0, count), learners: shuffled.slice(count, count + random(3)) }
    const host = this.#anyLeader()
    if (host === undefined) return
    const outcome = host.node.proposeMembership(next)
    this.#options.trace?.(`${host.id} membership ${JSON.stringify(next)}: ${outcome.kind}`)
    if (outcome.kind === 'accepted') host.run(outcome.effects)
  }

  #transfer(): void {
    const target = ids[this.#random(ids.length)]!
    const host = this.#anyLeader()
    if (host === undefined) return
    const outcome = host.node.transferLeadership(target)
    this.#options.trace?.(`${host.id} transfer to ${target}: ${outcome.kind}`)
    if (outcome.kind === 'accepted') host.run(outcome.effects)
  }

  #read(host: MemoryHost): void {
    const request = ++this.#requests
    this.observer.readAsked(host.id, request)
    this.#input(host, `read ${request}`, () => host.run(host.node.readIndex(request)))
  }

  #openReads(host: MemoryHost): void {
    const random = this.#random
    const at = random(host.openReads.length)
    const [effect] = host.openReads.splice(at, 1)
    if (effect === undefined) return
    if (random(8) === 0) {
      this.#input(host, 'unsent', () => host.run(host.node.entriesSent(effect.to, undefined, 0)))
    } else this.#input(host, 'read entries', () => host.read(effect, 1 + random(4)))
  }

  #sendSnapshots(host: MemoryHost): void {
    const effect = host.snapshotsToSend.shift()
    if (effect === undefined) return
    const fails = this.#random(4) === 0
    this.#input(host, 'send snapshot', () => {
      if (fails) host.run(host.node.snapshotSent(effect.to, undefined))
      else host.sendSnapshot(effect)
    })
  }

  #crash(host: MemoryHost): void {
    const random = this.#random
    this.#input(host, 'crash', () => host.crash(random(3), random(4)))
  }

  /**
   * Only replica 1 loses entries, and only committed ones: others keep them. An entry that nobody else has is gone for good, and
   * if only its holder could be elected, that is for an operator to decide.
   */
  #damage(): void {
    const host = this.hosts.get(1)!
    const entry = host.disk.log.entries[this.#random(host.disk.log.entries.length)]
    if (entry === undefined || lastIndexOf(entry) > this.observer.committedIndex) return
    const range = { start: entry.index, end: lastIndexOf(entry) + 1 }
    host.damage(range)
    this.#options.trace?.(`1 damage ${JSON.stringify(range)}`)
    host.run(host.node.damageFound(range))
  }

  #changeCuts(): void {
    const random = this.#random
    if (random(2) === 0) {
      this.#cut.clear()
      return
    }
    const from = ids[random(ids.length)]!
    for (const to of ids) if (random(2) === 0) this.#cut.add(`${from}>${to}`)
    if (random(2) === 0) for (const to of ids) this.#cut.add(`${to}>${from}`)
  }

  /** No faults any more: the cluster elects, repairs, catches up and commits, within a bounded number of ticks. */
  recover(): void {
    this.#cut.clear()
    Object.assign(this.#faults, { loss: 0, repeat: 0, overtake: 0 })
    for (const host of this.hosts.values()) host.run(host.node.wake())
    const payload = 'last'
    let proposed = false
    for (let tick = 0; tick < 400; tick++) {
      for (const host of this.hosts.values()) this.#input(host, 'tick', () => host.run(host.node.tick()))
      this.#settle()
      const leader = this.#leaders().sort((left, right) => right.node.term - left.node.term)[0]
      if (leader === undefined) continue
      if (!proposed && leader.node.membership?.kind === 'simple') {
        const outcome = leader.node.propose([{ payload, width: 2, bytes: 1 }])
        if (outcome.kind === 'accepted') {
          leader.run(outcome.effects)
          proposed = true
        }
      } else if (proposed && this.#isSettled(leader)) return
      // A leader that lost it to another one: propose again.
      if (!leader.log.entries.some(entry => entry.kind === 'data' && entry.payload === payload)) proposed = false
    }
    const told = [...this.hosts.values()].map(host => {
      const { term, roleKind, commitIndex, lastIndex, durableIndex, status, membership } = host.node
      return JSON.stringify({
        id: host.id,
        term,
        roleKind,
        commitIndex,
        lastIndex,
        durableIndex,
        damaged: status.damagedCount,
        membership,
        ...status.role,
        progress: status.role.kind === 'leader' ? [...status.role.progress] : []
      })
    })
    assert.fail(`the cluster does not recover:\n${told.join('\n')}`)
  }

  #isSettled(leader: MemoryHost): boolean {
    const membership = leader.node.membership!
    if (membership.kind === 'joint') return false
    return [...membership.voters, ...membership.learners].every(id => {
      const { node, disk } = this.hosts.get(id)!
      return node.commitIndex === leader.node.lastIndex && endOf(disk.log).index === leader.node.lastIndex
    })
  }

  #settle(): void {
    for (let round = 0; round < 200; round++) {
      this.#deliver(this.#network.length)
      for (const host of this.hosts.values()) {
        host.flush()
        while (host.openReads.length > 0) host.read(host.openReads.shift()!)
        while (host.snapshotsToSend.length > 0) host.sendSnapshot(host.snapshotsToSend.shift()!)
      }
      const busy = [...this.hosts.values()].some(host => host.logWrites.length + host.hardStateWrites.length > 0)
      if (!busy && this.#network.length === 0) return
    }
    assert.fail('messages never end')
  }
}
