import { memoryMeshes, type Mesh } from '@milena/shard-scheduler'
import { describe, expect, it } from 'vitest'
import { encodeMessage, meshServices } from '../messages.ts'
import { apply } from './apply.ts'
import { emptyState, type ClusterState } from './cluster-state.ts'
import type { Command } from './commands.ts'
import { MetadataReplica } from './metadata-replica.ts'

const command: Command = { type: 'allocate-producer-ids', version: 1, count: 10 }
const stateAt = (revision: number): ClusterState =>
  Array.from({ length: revision }).reduce<ClusterState>(state => apply(state, command).state, emptyState)

/** A replica on shard 1 and a controller on shard 0 that answers with `controller.state`. */
function setUp(): {
  mesh: Mesh
  replica: MetadataReplica
  controller: { state: ClusterState; fetches: number }
  seen: number[]
} {
  const [first, second] = memoryMeshes(2)
  if (first === undefined || second === undefined) throw new Error('two meshes')
  const controller = { state: stateAt(2), fetches: 0 }
  first.serve(meshServices.snapshot, () => {
    controller.fetches++
    return encodeMessage({ state: controller.state })
  })
  const replica = new MetadataReplica({ mesh: second, sleep: () => new Promise(resolve => setTimeout(resolve, 1)) })
  const seen: number[] = []
  replica.onState(next => void seen.push(next.revision))
  return { mesh: first, replica, controller, seen }
}

const push = (mesh: Mesh, revision: number): Promise<Uint8Array> =>
  mesh.submitTo(1, meshServices.apply, encodeMessage({ revision, commands: [command] }))

describe('the metadata of a shard', () => {
  it('is fetched once and then follows the commands', async () => {
    const { mesh, replica, controller, seen } = setUp()
    await replica.load()
    await push(mesh, 3)
    expect(seen).toEqual([2, 3])
    expect(replica.state.nextProducerId).toBe(30)
    expect(controller.fetches).toBe(1)
  })

  it('is fetched anew when a command was missed, and never goes back', async () => {
    const { mesh, replica, controller, seen } = setUp()
    await replica.load()
    controller.state = stateAt(6)
    await push(mesh, 5)
    await push(mesh, 4)
    expect(seen).toEqual([2, 6])
    expect(replica.state.nextProducerId).toBe(60)
  })

  it('answers a push before its first load at once: that load will bring the command', async () => {
    const { mesh, seen } = setUp()
    await push(mesh, 3)
    expect(seen).toEqual([])
  })

  it('misses no push that arrives together with what its first load brings', async () => {
    const [first, second] = memoryMeshes(2)
    if (first === undefined || second === undefined) throw new Error('two meshes')
    let pushed: Promise<unknown> = Promise.resolve()
    first.serve(meshServices.snapshot, () => {
      const answer = encodeMessage({ state: stateAt(2) })
      pushed = push(first, 3) // committed after the answer was made, told in the same turn
      return answer
    })
    const replica = new MetadataReplica({ mesh: second, sleep: () => new Promise(resolve => setTimeout(resolve, 1)) })
    await replica.load()
    await pushed
    expect(replica.state.revision).toBe(3)
  })

  it('tells the controller that a command is applied when its listeners are through', async () => {
    const { mesh, replica } = setUp()
    await replica.load()
    const entered = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    let through = false
    replica.onState(async () => {
      entered.resolve()
      await opened.promise
      through = true
    })
    const pushed = push(mesh, 3).then(() => through)
    await entered.promise
    await new Promise(resolve => setTimeout(resolve, 20))
    opened.resolve()
    expect(await pushed).toBe(true)
  })

  it('lets work that must not meet a change run when its listeners are through, and none begin meanwhile', async () => {
    const { mesh, replica } = setUp()
    const order: string[] = []
    let open = (): void => undefined
    replica.onState(async next => {
      order.push(`${next.revision} begins`)
      if (next.revision === 3) await new Promise<void>(resolve => (open = resolve))
      order.push(`${next.revision} is through`)
    })
    await replica.load()
    const third = push(mesh, 3)
    await expect.poll(() => order.at(-1)).toBe('3 begins')
    // The revision is known already: whoever went by that alone would not wait.
    expect(replica.state.revision).toBe(3)
    const work = replica.betweenChanges(async () => {
      order.push('work begins')
      await Promise.resolve()
      order.push('work is done')
    })
    const fourth = push(mesh, 4)
    open()
    await Promise.all([third, work, fourth])
    expect(order.slice(2)).toEqual([
      ...['3 begins', '3 is through', 'work begins', 'work is done', '4 begins', '4 is through']
    ])
  })

  it('keeps asking until the controller is there', async () => {
    const [first, second] = memoryMeshes(2)
    if (first === undefined || second === undefined) throw new Error('two meshes')
    const replica = new MetadataReplica({ mesh: second, sleep: () => new Promise(resolve => setTimeout(resolve, 1)) })
    const loaded = replica.load()
    await new Promise(resolve => setTimeout(resolve, 10))
    first.serve(meshServices.snapshot, () => encodeMessage({ state: stateAt(4) }))
    await loaded
    expect(replica.state.revision).toBe(4)
  })
})
