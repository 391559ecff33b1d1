import { ManualScheduler } from '@milena/shard-scheduler/testing'
import { describe, expect, it } from 'vitest'
import { parseBrokerSettings } from '../settings/parse.ts'
import { ClusterKeeper } from './cluster-keeper.ts'
import { Controller } from './controller.ts'
import type { CommandLog, Quorum } from './log/command-log.ts'
import { apply } from './metadata/apply.ts'
import { emptyState, type ClusterState, type NodeDescription } from './metadata/cluster-state.ts'
import type { Command } from './metadata/commands.ts'

const node = (nodeId: number): NodeDescription => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount: 1,
  rack: '',
  rpc: { host: 'h', port: 1 },
  listeners: []
})

/** A controller that leads on broker 0 of four nodes; changes of its own group end when the test says so. */
function world(): {
  scheduler: ManualScheduler
  log: CommandLog
  run: (command: Command) => Promise<unknown>
  changes: { voters: readonly number[]; enterJoint: () => void; end: () => void }[]
  close: () => void
} {
  const scheduler = new ManualScheduler()
  const changes: ReturnType<typeof world>['changes'] = []
  const appliedListeners: (() => void)[] = []
  let state: ClusterState = emptyState
  let membership: Quorum['membership'] = { voters: [0, 1000, 2000], learners: [3000], joint: false }
  const log: CommandLog = {
    get state() {
      return state
    },
    leading: true,
    leader: 0,
    term: 1,
    recovery: 0,
    execute: command => {
      const step = apply(state, command)
      state = step.state
      for (const listener of appliedListeners) listener()
      return Promise.resolve({ kind: 'applied', result: step.result })
    },
    confirm: () => Promise.resolve(true),
    onApplied: listener => void appliedListeners.push(() => listener({ revision: state.revision, commands: [] })),
    onRoleChange: () => undefined,
    quorum: () => ({ self: 0, leader: 0, term: 1, committedOffset: 1, endOffset: 1, membership, followers: [] }),
    changeReplicas: (voters, learners) =>
      new Promise(resolve =>
        changes.push({
          voters,
          enterJoint: () =>
            (membership = { voters: [...new Set([...membership.voters, ...voters])], learners, joint: true }),
          end: () => {
            membership = { voters, learners, joint: false }
            resolve(true)
          }
        })
      )
  }
  const settings = parseBrokerSettings(new Map())
  const clock = { now: () => 0, monotonic: () => scheduler.now() }
  const controller = new Controller({ log, settings, clock, isReachable: () => true })
  const founders = [0, 1, 2, 3].map(node)
  const keeper = new ClusterKeeper({
    identity: { clusterId: 'c', founders, nodes: founders, nodeId: 0, instance: 'disk-0', shardCount: 1 },
    settings,
    log,
    controller,
    clock: { after: (ms, callback) => scheduler.after(ms, callback) },
    logger: { info: () => undefined, error: (_, message) => expect.fail(message) }
  })
  return { scheduler, log, run: command => log.execute(command), changes, close: () => keeper.close() }
}

describe('the keeper of a cluster', () => {
  it('removes a node only when the own group of the controller can do without it', async () => {
    const { scheduler, log, run, changes, close } = world()
    await scheduler.advance(10)
    const first = changes.shift()
    expect(first?.voters).toEqual([0, 1000, 2000, 3000])
    first?.end()
    await scheduler.advance(10)
    await run({ type: 'set-node-mode', version: 1, nodeId: 1, mode: 'decommissioning' })
    await scheduler.advance(5000)
    const leaving = changes.shift()
    expect(leaving?.voters).toEqual([0, 2000, 3000])
    expect([...log.state.nodes.keys()]).toContain(1)
    leaving?.enterJoint()
    await scheduler.advance(5000)
    expect([...log.state.nodes.keys()]).toContain(1)
    leaving?.end()
    await scheduler.advance(1)
    expect([...log.state.nodes.keys()]).toEqual([0, 2, 3])
    close()
  })
})
