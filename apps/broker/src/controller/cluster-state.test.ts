import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  apply,
  emptyState,
  fromSnapshot,
  toSnapshot,
  type ClusterState,
  type Command,
  type TopicState
} from './cluster-state.ts'

const topic = (name: string, topicId: string, leaders: readonly number[] = [0]): TopicState => ({
  name,
  topicId,
  partitions: leaders.map(leader => ({ replicas: [leader], leader, leaderEpoch: 0 })),
  configs: {}
})

const run = (...commands: Command[]): ClusterState =>
  commands.reduce((state, command) => apply(state, command).state, emptyState)

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant('allocate-producer-ids' as const),
    version: fc.constant(1 as const),
    count: fc.integer({ min: 1, max: 9 })
  }),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('a', 'b', 'c'),
        fc.constantFrom('1', '2', '3', '4'),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 4 })
      ),
      { maxLength: 3 }
    )
    .map((specs): Command => ({
      type: 'create-topics',
      version: 1,
      topics: distinct(specs.map(([name, id, leaders]) => topic(name, id, leaders)))
    })),
  fc
    .array(fc.constantFrom('1', '2', '3', '4'), { maxLength: 3 })
    .map((topicIds): Command => ({ type: 'delete-topics', version: 1, topicIds: [...new Set(topicIds)] }))
)

/** Planning never puts a name or an id twice into one command. */
function distinct(topics: TopicState[]): TopicState[] {
  return topics.filter((t, i) => topics.findIndex(o => o.name === t.name || o.topicId === t.topicId) === i)
}

describe('the cluster state', () => {
  it('creates and deletes topics and counts what each broker leads', () => {
    const created = run({ type: 'create-topics', version: 1, topics: [topic('a', 'ida', [0, 1, 0])] })
    expect(created.topics.get('a')?.topicId).toBe('ida')
    expect(created.partitionCounts.get(0)).toBe(2)
    const gone = apply(created, { type: 'delete-topics', version: 1, topicIds: ['ida'] })
    expect(gone.result).toEqual({ type: 'delete-topics', deleted: ['ida'] })
    expect(gone.state.topics.size).toBe(0)
    expect(gone.state.partitionCounts.get(0)).toBe(0)
  })

  it('leaves the state it came from untouched', () => {
    const before = run({ type: 'create-topics', version: 1, topics: [topic('a', 'ida')] })
    apply(before, { type: 'delete-topics', version: 1, topicIds: ['ida'] })
    expect(before.topics.has('a')).toBe(true)
    expect(before.revision).toBe(1)
  })

  it('ignores a topic whose name or id was taken meanwhile, and says so', () => {
    const state = run({ type: 'create-topics', version: 1, topics: [topic('a', 'ida')] })
    const { state: next, result } = apply(state, {
      type: 'create-topics',
      version: 1,
      topics: [topic('a', 'other'), topic('b', 'idb')]
    })
    expect(result).toEqual({ type: 'create-topics', created: ['idb'] })
    expect(next.topics.get('a')?.topicId).toBe('ida')
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

  it('is the same after any commands whether folded in one go or through a snapshot in between, and its indexes agree', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 12 }), fc.nat(12), (commands, cut) => {
        const straight = run(...commands)
        const half = run(...commands.slice(0, cut))
        const restored = fromSnapshot(JSON.parse(JSON.stringify(toSnapshot(half))) as ReturnType<typeof toSnapshot>)
        const resumed = commands.slice(cut).reduce((state, command) => apply(state, command).state, restored)
        expect(toSnapshot(resumed)).toEqual(toSnapshot(straight))
        expect([...straight.topicsById.values()].sort(byId)).toEqual([...straight.topics.values()].sort(byId))
        const led = [...straight.topics.values()].flatMap(t => t.partitions).length
        expect([...straight.partitionCounts.values()].reduce((sum, count) => sum + count, 0)).toBe(led)
      })
    )
  })
})

const byId = (a: TopicState, b: TopicState): number => a.topicId.localeCompare(b.topicId)
