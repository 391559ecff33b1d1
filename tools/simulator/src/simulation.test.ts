import { describe, expect, test } from 'vitest'
import { canaries, seekCanary } from './canaries/all-canaries.ts'
import { runCluster } from './cluster/cluster-simulation.ts'
import { runRaft } from './raft/raft-simulation.ts'
import { runReplication } from './replication/replication-simulation.ts'

describe('the simulator', () => {
  test('finds nothing in replicas of a Raft group under faults, and leaves the same trace twice', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const report = await runRaft({ seed, seconds: 20 })
      expect(report.violation, `seed ${seed}`).toBeUndefined()
      expect((await runRaft({ seed, seconds: 20 })).hash, `seed ${seed}`).toBe(report.hash)
    }
  })

  test('finds nothing in stores and replica hosts on machines that fail, and leaves the same trace twice', async () => {
    for (const seed of [3, 14]) {
      const report = await runReplication({ seed, seconds: 5 })
      expect(report.violation, `seed ${seed}`).toBeUndefined()
      expect(report.operationCount).toBeGreaterThan(20)
      expect((await runReplication({ seed, seconds: 5 })).hash, `seed ${seed}`).toBe(report.hash)
    }
  })

  test('finds nothing in whole clusters on machines that fail, and leaves the same trace twice', async () => {
    const report = await runCluster({ seed: 2, seconds: 5 })
    expect(report.violation).toBeUndefined()
    expect(report.operationCount).toBeGreaterThan(20)
    expect((await runCluster({ seed: 2, seconds: 5 })).hash).toBe(report.hash)
  })

  test('finds planted bugs', async () => {
    for (const name of ['vote-before-saved', 'commit-on-leader-alone', 'follower-acks-before-flush']) {
      expect(canaries.map(canary => canary.name)).toContain(name)
      const { violation } = await seekCanary(name, 1, 20, 20)
      expect(violation, name).toBeDefined()
    }
  })
})
