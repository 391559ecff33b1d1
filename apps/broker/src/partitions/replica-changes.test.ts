import { describe, expect, it } from 'vitest'
import type { PartitionState } from '../controller/metadata/cluster-state.ts'
import type { FinishedMove } from '../controller/metadata/commands.ts'
import type { ReplicatedLog } from '../replication/contract.ts'
import { ReplicaChanges } from './replica-changes.ts'

/** A group that leads, and whose changes end when the test says so. */
class FakeGroup {
  readonly name = 'g'
  leading = true
  term = 1
  membership = { voters: [0], learners: [] as number[], joint: false }
  /** Targets of the changes that began, and what ends each. */
  readonly began: (readonly number[])[] = []
  end: (done: boolean) => void = () => undefined
  confirmLeadership = (): Promise<void> => Promise.resolve()

  changeReplicas(voters: readonly number[]): Promise<boolean> {
    this.end(false)
    this.began.push(voters)
    return new Promise(resolve => (this.end = resolve))
  }
}

/** Lets everything happen that waits for nothing. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Changes of one group; the test turns the metadata, the controller and the clock. */
class Stage {
  placement: PartitionState
  /** Revisions of the metadata here, and of the controller's; undefined: it cannot be reached. */
  revision = 7
  newest: number | undefined = 7
  /** Asked for the newest revision so often. */
  looks = 0
  readonly group = new FakeGroup()
  readonly told: FinishedMove[] = []
  readonly #pauses: (() => void)[] = []
  readonly #changes: ReplicaChanges

  constructor(placement: Partial<PartitionState>) {
    this.placement = { replicas: [0], bootstrapReplicas: [], ...placement }
    this.#changes = new ReplicaChanges({
      placementOf: () => this.placement,
      revision: () => this.revision,
      newestRevision: () => {
        this.looks++
        return this.newest === undefined ? Promise.reject(new Error('nobody there')) : Promise.resolve(this.newest)
      },
      finish: moves => Promise.resolve(this.told.push(...moves)),
      after: (_, callback) => {
        this.#pauses.push(callback)
        return () => undefined
      }
    })
  }

  async consider(group = this.group): Promise<void> {
    this.#changes.consider(group as unknown as ReplicatedLog, 't', 0)
    await turns()
  }

  async endChange(done = true): Promise<void> {
    this.group.end(done)
    await turns()
  }

  /** How many wait for their next try; all of them go on. */
  async endPauses(): Promise<number> {
    const ended = this.#pauses.splice(0)
    for (const end of ended) end()
    await turns()
    return ended.length
  }
}

describe('changes of replicas', () => {
  it('do not wait for replicas that are not wanted any more', async () => {
    const stage = new Stage({ target: [1000, 2000], moveRevision: 3 })
    await stage.consider()
    await stage.consider()
    expect(stage.group.began).toEqual([[1000, 2000]])
    stage.placement = { ...stage.placement, target: [1, 1001], moveRevision: 5 }
    await stage.consider()
    expect(stage.group.began).toEqual([
      [1000, 2000],
      [1, 1001]
    ])
    expect(await stage.endPauses()).toBe(1)
    await stage.endChange()
    expect(stage.told).toEqual([{ topicId: 't', partition: 0, target: [1, 1001], moveRevision: 5 }])
  })

  it('are told when they are committed, not when the leader has appended them', async () => {
    const stage = new Stage({ target: [1000] })
    stage.group.membership = { voters: [1000], learners: [], joint: false }
    await stage.consider()
    expect(stage.told).toEqual([])
    await stage.endChange()
    expect(stage.told).toEqual([{ topicId: 't', partition: 0, target: [1000] }])
  })

  it('are undone after a move that was given up, and the controller hears when they are', async () => {
    const stage = new Stage({ leaving: [1000], moveRevision: 4 })
    await stage.consider()
    expect(stage.group.began).toEqual([[0]])
    await stage.endChange()
    expect(stage.told).toEqual([{ topicId: 't', partition: 0, target: [0], moveRevision: 4 }])
  })

  it('are told as the move that they were begun for, even when another one has the same target', async () => {
    const stage = new Stage({ target: [1000], moveRevision: 3 })
    await stage.consider()
    stage.placement = { ...stage.placement, moveRevision: 5 }
    await stage.consider()
    await stage.endChange()
    expect(stage.told.map(({ moveRevision }) => moveRevision)).toEqual([3])
    await stage.endPauses()
    await stage.endChange()
    expect(stage.told.map(({ moveRevision }) => moveRevision)).toEqual([3, 5])
  })

  it('begin with metadata as new as the leadership, and not before', async () => {
    const stage = new Stage({ target: [1000], moveRevision: 3 })
    stage.newest = 8
    await stage.consider()
    expect(stage.group.began).toEqual([])
    stage.newest = undefined
    expect(await stage.endPauses()).toBe(1)
    expect(stage.group.began).toEqual([])
    // It was cancelled, as the metadata says now.
    stage.placement = { replicas: [0], bootstrapReplicas: [], leaving: [1000], moveRevision: 8 }
    stage.newest = stage.revision = 8
    await stage.endPauses()
    expect(stage.group.began).toEqual([[0]])
  })

  it('do not go on in another leadership before its metadata is known to be as new', async () => {
    const stage = new Stage({ target: [1000], moveRevision: 3 })
    await stage.consider()
    stage.newest = undefined
    stage.group.term++
    stage.placement = { ...stage.placement, target: [2000], moveRevision: 5 }
    await stage.consider()
    expect(stage.group.began).toEqual([[1000]])
    await stage.endChange()
    expect(stage.told).toEqual([])
  })

  it('are not told by a leader that was replaced and has not heard of it', async () => {
    const stage = new Stage({ target: [1000], moveRevision: 3 })
    stage.group.confirmLeadership = () => Promise.reject(new Error('somebody else leads'))
    await stage.consider()
    await stage.endChange()
    expect(stage.told).toEqual([])
    stage.group.confirmLeadership = () => Promise.resolve()
    await stage.endPauses()
    await stage.endChange()
    expect(stage.told).toHaveLength(1)
  })

  it('of many groups ask the controller together', async () => {
    const stage = new Stage({ target: [1000], moveRevision: 3 })
    const groups = Array.from({ length: 20 }, (_, i) => Object.assign(new FakeGroup(), { name: `g${i}` }))
    await Promise.all(groups.map(group => stage.consider(group)))
    expect(groups.every(({ began }) => began.length === 1)).toBe(true)
    expect(stage.looks).toBeLessThanOrEqual(2)
  })
})
