import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apply, replicasOnNode } from './apply.ts'
import {
  emptyState,
  fromSnapshot,
  nodeOf,
  preferredLeader,
  replicaHosts,
  toSnapshot,
  type ClusterState,
  type NodeDescription,
  type NodeMode,
  type StateSnapshot,
  type TopicState
} from './cluster-state.ts'
import { decodeCommand, encodeCommand, type Command, type CommandResult } from './commands.ts'

const node = (nodeId: number, over: Partial<NodeDescription> = {}): NodeDescription => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount: 2,
  rack: '',
  rpc: { host: '127.0.0.1', port: 33_145 },
  listeners: [],
  ...over
})

const topic = (name: string, topicId: string, placement: readonly (readonly number[])[] = [[0]]): TopicState => ({
  name,
  topicId,
  partitions: placement.map(replicas => ({ replicas, bootstrapReplicas: replicas })),
  configs: {}
})

const run = (...commands: Command[]): ClusterState =>
  commands.reduce((state, command) => apply(state, command).state, emptyState)

const form: Command = {
  type: 'form-cluster',
  version: 1,
  clusterId: 'cluster',
  founders: [node(0), node(1), node(2)],
  features: { 'metadata.version': 1 }
}
const create = (...topics: TopicState[]): Command => ({ type: 'create-topics', version: 1, topics })

describe('the cluster state', () => {
  it('is formed once, with its founders', () => {
    const formed = run(form)
    expect([...formed.nodes.keys()]).toEqual([0, 1, 2])
    const again = apply(formed, { ...form, clusterId: 'other' } as Command)
    expect(again.result).toEqual({ type: 'form-cluster', formed: false })
    expect(again.state.clusterId).toBe('cluster')
  })

  it('creates and deletes topics and counts the replicas of each broker and the partitions that prefer it', () => {
    const created = run(
      form,
      create(
        topic('a', 'ida', [
          [0, 1000],
          [1000, 0],
          [0, 2000]
        ])
      )
    )
    expect(created.topics.get('a')?.topicId).toBe('ida')
    expect(created.replicaCounts).toEqual(new Map([[0, 3], [1000, 2], [2000, 1]])) // prettier-ignore
    expect(created.preferredCounts).toEqual(new Map([[0, 2], [1000, 1]])) // prettier-ignore
    const gone = apply(created, { type: 'delete-topics', version: 1, topicIds: ['ida', 'ida'] })
    expect(gone.result).toEqual({ type: 'delete-topics', deleted: ['ida'] })
    expect(gone.state.topics.size).toBe(0)
    expect(gone.state.replicaCounts.size).toBe(0)
  })

  it('leaves the state it came from untouched', () => {
    const before = run(create(topic('a', 'ida')))
    apply(before, { type: 'delete-topics', version: 1, topicIds: ['ida'] })
    expect(before.topics.has('a')).toBe(true)
    expect(before.revision).toBe(1)
  })

  it('ignores a topic whose name or id was taken meanwhile, and says so', () => {
    const state = run(create(topic('a', 'ida')))
    const { state: next, result } = apply(state, create(topic('a', 'other'), topic('b', 'idb')))
    expect(result).toEqual({ type: 'create-topics', created: ['idb'] })
    expect(next.topics.get('a')?.topicId).toBe('ida')
  })

  it('adds partitions only to as many as the plan knew', () => {
    const state = run(form, create(topic('a', 'ida')))
    const grow: Command = {
      type: 'create-partitions',
      version: 1,
      topicId: 'ida',
      from: 1,
      partitions: topic('', '', [[1000]]).partitions
    }
    const grown = apply(state, grow)
    expect(grown.result).toEqual({ type: 'create-partitions', created: true })
    expect(grown.state.topics.get('a')?.partitions.map(p => p.replicas)).toEqual([[0], [1000]])
    expect(apply(grown.state, grow).result).toEqual({ type: 'create-partitions', created: false })
  })

  it('never hands out a producer id twice', () => {
    let state = emptyState
    const seen = new Set<number>()
    for (const count of [1000, 1, 7]) {
      const step = apply(state, { type: 'allocate-producer-ids', version: 1, count })
      state = step.state
      if (step.result.type !== 'allocate-producer-ids') throw new Error('wrong result')
      for (let id = step.result.firstId; id < step.result.firstId + count; id++) {
        expect(seen.has(id)).toBe(false)
        seen.add(id)
      }
    }
  })

  it('sets and unsets settings of a topic and of the cluster', () => {
    const change = (set: Record<string, string>, unset: string[], topicId?: string): Command => ({
      type: 'set-configs',
      version: 1,
      changes: [{ resource: topicId === undefined ? { type: 'cluster' } : { type: 'topic', topicId }, set, unset }]
    })
    const state = run(
      create(topic('a', 'ida')),
      change({ 'retention.ms': '1', 'segment.ms': '2' }, [], 'ida'),
      change({ 'retention.ms': '3' }, ['segment.ms'], 'ida'),
      change({ x: '1', y: '2' }, []),
      change({}, ['y']),
      change({ lost: '1' }, [], 'gone')
    )
    expect(state.topics.get('a')?.configs).toEqual({ 'retention.ms': '3' })
    expect(state.topicsById.get('ida')).toBe(state.topics.get('a'))
    expect(state.configs).toEqual({ x: '1' })
  })
})

describe('the nodes of a cluster', () => {
  const state = run(form, create(topic('a', 'ida', [[0, 2001]])))
  const refusal = (command: Command): unknown => {
    const { result } = apply(state, command)
    return 'refused' in result ? result.refused : undefined
  }

  it('come back under another address, never with another disk or fewer shards', () => {
    const moved = apply(state, { type: 'update-node', version: 1, node: node(1, { rack: 'b', shardCount: 3 }) }).state
    expect(moved.nodes.get(1)).toMatchObject({ rack: 'b', shardCount: 3, mode: 'active' })
    const wiped = node(1, { instance: 'new disk' })
    expect(refusal({ type: 'update-node', version: 1, node: wiped })).toBe('other-instance')
    expect(refusal({ type: 'register-node', version: 1, node: wiped })).toBe('other-instance')
    expect(refusal({ type: 'update-node', version: 1, node: node(1, { shardCount: 1 }) })).toBe('fewer-shards')
    expect(refusal({ type: 'update-node', version: 1, node: node(7) })).toBe('unknown-node')
  })

  it('are removed only when they have no replicas left, and their ids are not handed out again', () => {
    expect(refusal({ type: 'remove-node', version: 1, nodeId: 2 })).toBe('has-replicas')
    const { state: without } = apply(state, { type: 'remove-node', version: 1, nodeId: 1 })
    expect([...without.nodes.keys()]).toEqual([0, 2])
    expect(without.nextNodeId).toBe(3)
  })

  it('are not removed when they were asked to stay after their removal was decided', () => {
    const remove: Command = { type: 'remove-node', version: 1, nodeId: 1, from: ['decommissioning'] }
    expect(refusal(remove)).toBe('other-mode')
    const leaving = apply(state, { type: 'set-node-mode', version: 1, nodeId: 1, mode: 'decommissioning' }).state
    expect([...apply(leaving, remove).state.nodes.keys()]).toEqual([0, 2])
  })

  it('are given a mode only when they are in one of those that it may follow, and one at a time goes into maintenance', () => {
    const set = (nodeId: number, mode: NodeMode, from?: readonly NodeMode[]): Command => {
      return { type: 'set-node-mode', version: 1, nodeId, mode, ...(from && { from }) }
    }
    const refusal = (refused: string): object => ({ type: 'set-node-mode', refused })
    const leaving = run(form, set(0, 'decommissioning', ['active', 'maintenance']))
    const late = apply(leaving, set(0, 'maintenance', ['active']))
    expect(late).toEqual({ state: { ...leaving, revision: late.state.revision }, result: refusal('other-mode') })
    expect(apply(leaving, set(0, 'decommissioning', ['active'])).result).toEqual({ type: 'set-node-mode' })
    const resting = run(form, set(0, 'maintenance', ['active']))
    expect(apply(resting, set(1, 'maintenance', ['active'])).result).toEqual(refusal('other-in-maintenance'))
    expect(run(form, set(0, 'maintenance'), set(0, 'active', ['maintenance'])).nodes.get(0)?.mode).toBe('active')
  })

  it('keep their mode when they register again', () => {
    const resting: Command = { type: 'set-node-mode', version: 1, nodeId: 0, mode: 'maintenance' }
    const back: Command = { type: 'register-node', version: 1, node: node(0) }
    expect(run(form, resting, back).nodes.get(0)?.mode).toBe('maintenance')
  })
})

describe('a reassignment', () => {
  const placed = run(form, create(topic('a', 'ida', [[0, 1000]])))
  const start = (target: number[]): Command => ({
    type: 'start-reassignment',
    version: 1,
    moves: [{ topicId: 'ida', partition: 0, target }]
  })
  const partitionOf = (state: ClusterState) => state.topics.get('a')!.partitions[0]!
  /** The report of a leader that knows `state`, and found its move at an end. */
  const finish = (target: number[], state: ClusterState): Command => {
    const moveRevision = partitionOf(state).moveRevision
    const moves = [{ topicId: 'ida', partition: 0, target, ...(moveRevision !== undefined && { moveRevision }) }]
    return { type: 'finish-reassignment', version: 2, moves }
  }
  const finished = (state: ClusterState, target: number[]): ClusterState => apply(state, finish(target, state)).state

  it('keeps all replicas until it is finished; then nobody founds the group again', () => {
    const moving = apply(placed, start([1000, 2000])).state
    expect(partitionOf(moving)).toEqual({
      replicas: [0, 1000],
      bootstrapReplicas: [0, 1000],
      target: [1000, 2000],
      moveRevision: moving.revision
    })
    expect(moving.reassigning.get('ida')).toEqual([0])
    expect(replicasOnNode(moving, 2)).toEqual([{ topicId: 'ida', partition: 0 }])
    const done = finished(moving, [1000, 2000])
    expect(partitionOf(done)).toEqual({ replicas: [1000, 2000], bootstrapReplicas: [] })
    expect(done.reassigning.size).toBe(0)
  })

  const cancel: Command = {
    type: 'cancel-reassignment',
    version: 1,
    partitions: [{ topicId: 'ida', partition: 0 }]
  }
  const hostsOf = (state: ClusterState): readonly number[] => replicaHosts(partitionOf(state))

  it('is cancelled; whoever it went to keeps a replica until the voters are known to be the old ones', () => {
    const moving = apply(placed, start([1000, 2000])).state
    const cancelled = apply(moving, cancel)
    expect(partitionOf(cancelled.state)).toMatchObject({ replicas: [0, 1000], leaving: [2000] })
    expect(hostsOf(cancelled.state)).toEqual([0, 1000, 2000])
    expect(cancelled.state.reassigning.size).toBe(0)
    expect(apply(cancelled.state, cancel).result).toEqual({ type: 'cancel-reassignment', changed: [] })
    expect(apply(cancelled.state, finish([1000, 2000], cancelled.state)).result).toMatchObject({ changed: [] })
    expect(partitionOf(finished(cancelled.state, [0, 1000]))).toEqual({ replicas: [0, 1000], bootstrapReplicas: [] })
  })

  it('that takes the place of another keeps replicas where that one went, too', () => {
    const first = apply(placed, start([2000])).state
    const second = apply(first, start([1])).state
    expect(hostsOf(second)).toEqual([0, 1000, 1, 2000])
    const third = apply(second, start([1000, 0])).state
    expect(partitionOf(third)).toMatchObject({ replicas: [1000, 0], leaving: [2000, 1] })
    expect(partitionOf(finished(second, [1]))).toEqual({ replicas: [1], bootstrapReplicas: [] })
  })

  it('is not finished by the report of an earlier one', () => {
    const before = apply(placed, start([1000, 2000])).state
    const moving = apply(before, start([0, 2000])).state
    const late = apply(moving, finish([1000, 2000], before))
    expect(late.result).toEqual({ type: 'finish-reassignment', changed: [] })
    expect(partitionOf(late.state)).toEqual(partitionOf(moving))
  })

  it('is not finished by the report of an earlier one to the same brokers, started or given up', () => {
    const rounds = [start([2000]), cancel, start([2000]), cancel, start([2000])]
    const states: ClusterState[] = []
    for (const command of rounds) states.push(apply(states.at(-1) ?? placed, command).state)
    for (const [i, state] of states.entries()) {
      const target = i % 2 === 0 ? [2000] : [0, 1000]
      for (const [j, earlier] of states.entries()) {
        const late = apply(state, finish(target, earlier))
        expect(late.result).toMatchObject({ changed: i === j ? [{ topicId: 'ida', partition: 0 }] : [] })
        if (i !== j) expect(hostsOf(late.state).toSorted()).toEqual([0, 1000, 2000])
      }
    }
  })

  it('is not finished by a report of before an unclean recovery', () => {
    const moving = apply(placed, start([2000])).state
    const recoveries = [{ topicId: 'ida', partition: 0, number: 1, survivor: 1000, term: 1000 }]
    const recovered = apply(moving, { type: 'recover-partitions', version: 1, recoveries }).state
    expect(partitionOf(recovered).moveRevision).toBeUndefined()
    const again = apply(recovered, start([2000])).state
    expect(apply(again, finish([2000], moving)).result).toMatchObject({ changed: [] })
  })

  it('is finished by reports without a revision in logs of brokers that wrote none', () => {
    const moving = apply(placed, start([1000, 2000])).state
    const moves = [{ topicId: 'ida', partition: 0, target: [1000, 2000] }]
    expect(apply(moving, { type: 'finish-reassignment', version: 2, moves }).result).toMatchObject({ changed: [] })
    const done = apply(moving, { type: 'finish-reassignment', version: 1, moves }).state
    expect(partitionOf(done)).toEqual({ replicas: [1000, 2000], bootstrapReplicas: [] })
  })

  it('that only changes the order is done at once', () => {
    const swapped = apply(placed, start([1000, 0])).state
    expect(partitionOf(swapped)).toEqual({ replicas: [1000, 0], bootstrapReplicas: [0, 1000] })
  })

  it.each([[[]], [[0, 1]], [[0, 9000]]])('does not start towards %j', target => {
    expect(apply(placed, start(target)).result).toEqual({ type: 'start-reassignment', changed: [] })
  })
})

const version = fc.constant(1 as const)
const anyTopicId = fc.constantFrom('1', '2', '3', '4')
const anyReplicas = fc
  .uniqueArray(fc.nat(2), { minLength: 1, maxLength: 3 })
  .chain(nodes => fc.tuple(...nodes.map(id => fc.nat(1).map(shard => id * 1000 + shard))))
const anyKey = fc.record({ topicId: anyTopicId, partition: fc.nat(2) })
const anyMoves = fc.array(
  fc.tuple(anyKey, anyReplicas).map(([key, target]) => ({ ...key, target })),
  { maxLength: 3 }
)
const anyNode = fc.tuple(fc.nat(3), fc.constantFrom('x', 'y')).map(([id, instance]) => node(id, { instance }))

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ type: fc.constant('allocate-producer-ids' as const), version, count: fc.integer({ min: 1, max: 9 }) }),
  fc
    .array(
      fc.tuple(fc.constantFrom('a', 'b', 'c'), anyTopicId, fc.array(anyReplicas, { minLength: 1, maxLength: 4 })),
      {
        maxLength: 3
      }
    )
    .map(specs => create(...distinct(specs.map(([name, id, placement]) => topic(name, id, placement))))),
  fc.record({
    type: fc.constant('delete-topics' as const),
    version,
    topicIds: fc.array(anyTopicId, { maxLength: 3 })
  }),
  fc.record({
    type: fc.constantFrom('start-reassignment' as const, 'finish-reassignment' as const),
    version,
    moves: anyMoves
  }),
  fc.record({
    type: fc.constant('cancel-reassignment' as const),
    version,
    partitions: fc.array(anyKey, { maxLength: 3 })
  }),
  fc.record({ type: fc.constantFrom('register-node' as const, 'update-node' as const), version, node: anyNode }),
  fc.record({ type: fc.constant('remove-node' as const), version, nodeId: fc.nat(3) }),
  fc.record({
    type: fc.constant('set-node-mode' as const),
    version,
    nodeId: fc.nat(3),
    mode: fc.constantFrom('active' as const, 'maintenance' as const, 'decommissioning' as const)
  }),
  fc
    .tuple(anyTopicId, fc.nat(4), fc.array(anyReplicas, { minLength: 1, maxLength: 2 }))
    .map(([topicId, from, placement]): Command => {
      return { type: 'create-partitions', version: 1, topicId, from, partitions: topic('', '', placement).partitions }
    })
)

/** Planning never puts a name or an id twice into one command. */
function distinct(topics: TopicState[]): TopicState[] {
  return topics.filter((t, i) => topics.findIndex(o => o.name === t.name || o.topicId === t.topicId) === i)
}

describe('any sequence of commands', () => {
  const anyCommands = fc.array(anyCommand, { maxLength: 20 }).map(commands => [form, ...commands])

  it('gives the same state in one go, through its encoding, and through a snapshot in between', () => {
    fc.assert(
      fc.property(anyCommands, fc.nat(12), (commands, cut) => {
        const straight = run(...commands)
        const half = run(...commands.slice(0, cut))
        const restored = fromSnapshot(JSON.parse(JSON.stringify(toSnapshot(half))) as StateSnapshot)
        const resumed = commands
          .slice(cut)
          .map(command => decodeCommand(encodeCommand(command)))
          .reduce((state, command) => apply(state, command).state, restored)
        expect(toSnapshot(resumed)).toEqual(toSnapshot(straight))
        expect(resumed.replicaCounts).toEqual(straight.replicaCounts)
      })
    )
  })

  it('keeps all that is derived from topics in step with them', () => {
    fc.assert(
      fc.property(anyCommands, commands => {
        const state = run(...commands)
        const topics = [...state.topics.values()]
        expect([...state.topicsById.values()].sort(byId)).toEqual(topics.sort(byId))
        const partitions = topics.flatMap(t => t.partitions)
        expect(state.replicaCounts).toEqual(countOf(partitions.flatMap(replicaHosts)))
        expect(state.preferredCounts).toEqual(countOf(partitions.map(preferredLeader)))
        const moving = topics.flatMap(t => t.partitions.flatMap((p, i) => (p.target ? [`${t.topicId}/${i}`] : [])))
        expect([...state.reassigning].flatMap(([id, numbers]) => numbers.map(n => `${id}/${n}`)).sort()).toEqual(
          moving.sort()
        )
      })
    )
  })

  it('never removes a node that holds a replica, and never lets one partition have two replicas on a node', () => {
    fc.assert(
      fc.property(anyCommands, commands => {
        let state = emptyState
        for (const command of commands) {
          const before = state
          const step: { state: ClusterState; result: CommandResult } = apply(state, command)
          state = step.state
          if (command.type !== 'remove-node' || 'refused' in step.result) continue
          expect(replicasOnNode(before, command.nodeId)).toEqual([])
        }
        for (const { replicas, target } of [...state.topics.values()].flatMap(t => t.partitions)) {
          for (const list of [replicas, target ?? []]) expect(new Set(list.map(nodeOf)).size).toBe(list.length)
        }
      })
    )
  })
})

const byId = (a: TopicState, b: TopicState): number => a.topicId.localeCompare(b.topicId)

function countOf(ids: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return counts
}

describe('an unclean recovery', () => {
  const recover = (number: number, survivor: number, partition = 0): Command => {
    const recoveries = [{ topicId: 'ida', partition, number, survivor, term: 1000 * number }]
    return { type: 'recover-partitions', version: 1, recoveries }
  }
  const partitionOf = (state: ClusterState) => state.topics.get('a')!.partitions[0]!
  const created = [form, create(topic('a', 'ida', [[0, 1000, 2000]]))]

  it('keeps the replicas, founds nothing again, and is counted', () => {
    const state = run(...created, recover(1, 2000))
    expect(partitionOf(state)).toEqual({
      replicas: [0, 1000, 2000],
      bootstrapReplicas: [],
      recovery: { number: 1, survivor: 2000, term: 1000 }
    })
    expect(partitionOf(run(...created, recover(1, 2000), recover(2, 0))).recovery?.number).toBe(2)
    expect(fromSnapshot(JSON.parse(JSON.stringify(toSnapshot(state))) as StateSnapshot).topics).toEqual(state.topics)
  })

  it('does nothing twice, and nothing for a survivor that has no replica', () => {
    const once = run(...created, recover(1, 2000))
    for (const [command, state] of [
      [recover(1, 0), once],
      [recover(3, 0), once],
      [recover(1, 1001), run(...created)],
      [recover(1, 0, 7), run(...created)]
    ] as const) {
      const step = apply(state, command)
      expect(step.result).toEqual({ type: 'recover-partitions', changed: [] })
      expect(step.state.topics).toEqual(state.topics)
    }
  })

  it('ends a move: where it went when the survivor is only there, else where it was', () => {
    const move: Command = {
      type: 'start-reassignment',
      version: 1,
      moves: [{ topicId: 'ida', partition: 0, target: [1, 1000] }]
    }
    const there = run(...created, move, recover(1, 1))
    expect(partitionOf(there)).toMatchObject({ replicas: [1, 1000] })
    expect(partitionOf(there).target).toBeUndefined()
    expect(there.reassigning.size).toBe(0)
    expect(partitionOf(run(...created, move, recover(1, 2000)))).toMatchObject({ replicas: [0, 1000, 2000] })
  })

  it('is remembered when the replicas change later', () => {
    const target = [1, 2000]
    const moves = [{ topicId: 'ida', partition: 0, target }]
    const state = run(
      ...created,
      recover(1, 2000),
      { type: 'start-reassignment', version: 1, moves },
      { type: 'finish-reassignment', version: 1, moves }
    )
    expect(partitionOf(state)).toEqual({
      replicas: target,
      bootstrapReplicas: [],
      recovery: { number: 1, survivor: 2000, term: 1000 }
    })
  })
})

describe('deleting records', () => {
  const cut = (startOffset: number, recovery = 0): Command => {
    const deletions = [{ topicId: 'ida', partition: 0, startOffset, recovery }]
    return { type: 'delete-records', version: 1, deletions }
  }
  const recoveries = [{ topicId: 'ida', partition: 0, number: 1, survivor: 2000, term: 1000 }]
  const recover: Command = { type: 'recover-partitions', version: 1, recoveries }
  const created = [form, create(topic('a', 'ida', [[0, 1000, 2000]]))]
  const startOf = (state: ClusterState): number | undefined => state.topics.get('a')!.partitions[0]!.startOffset

  it('moves the start forward and never back', () => {
    const state = run(...created, cut(7))
    expect(startOf(state)).toBe(7)
    for (const lower of [6, 7]) expect(apply(state, cut(lower)).result).toEqual({ type: 'delete-records', changed: [] })
    expect(startOf(run(...created, cut(7), cut(6), cut(9)))).toBe(9)
    expect(fromSnapshot(JSON.parse(JSON.stringify(toSnapshot(state))) as StateSnapshot).topics).toEqual(state.topics)
  })

  it('is kept by a move, and ended by an unclean recovery, after which offsets of before mean nothing', () => {
    const moves = [{ topicId: 'ida', partition: 0, target: [1, 2000] }]
    const moved = run(
      ...created,
      cut(7),
      { type: 'start-reassignment', version: 1, moves },
      { type: 'finish-reassignment', version: 1, moves }
    )
    expect(startOf(moved)).toBe(7)
    expect(startOf(run(...created, cut(7), recover))).toBeUndefined()
    expect(startOf(run(...created, recover, cut(7)))).toBeUndefined()
    expect(startOf(run(...created, recover, cut(7, 1)))).toBe(7)
  })
})
