/**
 * What disks do to a cluster of three real nodes, each on a disk of its own with a volatile write cache: all of them lose power at
 * once, one is full, one is slow. Nothing acknowledged may be lost, and one bad disk must not stop the others.
 */
import { rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from '@milena/bench'
import type { ClusterNode } from './cluster/node.ts'
import {
  audited,
  awaitAcks,
  calmThenMark,
  ms,
  NODES,
  onCluster,
  othersThan,
  someLeader,
  watchMachine,
  type Stage
} from './cluster/stage.ts'
import { missingForVolatileDisk, VolatileDisk } from './mounts.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

const DISK_MEBIBYTES = 1024
/** What a full disk has left: below the reserve of the store, 64 MiB. */
const LEFT_MEBIBYTES = 24
/** Longest time without an acknowledgement that a node's bad disk may cause, ms: its partitions are led by others by then. */
const GAP_MS_MAX = 10_000
/** A node whose disk is full leads nothing after this long, ms; it knows at once. */
const FULL_LED_MS_MAX = 10_000
/** The same for one whose disk is slow: it has to be so for three seconds, since disks stall for a second now and then. */
const SLOW_LED_MS_MAX = 5_000
/** Longest time without an acknowledgement once others lead, ms. */
const STEADY_GAP_MS_MAX = 1500
const STEADY_MS = 3000

interface DiskStage extends Stage {
  readonly disks: readonly VolatileDisk[]
}

async function onDisks(context: ScenarioContext, body: (stage: DiskStage) => Promise<string>): Promise<string> {
  const disks: VolatileDisk[] = []
  try {
    for (let node = 0; node < NODES; node++)
      disks.push(await VolatileDisk.open(join(context.dir, `disk-${node}`), DISK_MEBIBYTES))
    const dataDir = (node: number): string => join(diskOf(disks, node).files.folder, 'data')
    return await onCluster(context, { dataDir }, stage => body({ ...stage, disks }))
  } finally {
    for (const disk of disks) await disk.close()
  }
}

function diskOf(disks: readonly VolatileDisk[], node: number): VolatileDisk {
  const disk = disks[node]
  if (disk === undefined) throw new Error(`node ${node} has no disk`)
  return disk
}

export const clusterPowerLoss: Scenario = {
  name: 'cluster-power-loss',
  title: 'a power loss of all three nodes at once loses nothing that was acknowledged',
  rounds: 3,
  longRounds: 30,
  missing: ({ target }) => (target === 'kafka' ? 'Kafka acknowledges before it flushes' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async stage => {
      const { disks, cluster } = stage
      const { random, rounds } = context
      let acked = ''
      await proveLoss(stage)
      for (let round = 1; round <= rounds; round++) {
        await calmThenMark(stage)
        const keeps = disks.map(disk => {
          const keep = random.between(0, 3) * 50
          disk.losePower(random.between(1, 2 ** 31), keep)
          return keep
        })
        await cluster.killAll()
        for (const disk of disks) await disk.reboot()
        const from = performance.now()
        await cluster.startAll()
        const startMs = performance.now() - from
        const leadersMs = await cluster.awaitLeaders()
        acked = await audited(stage)
        context.say(
          `round ${round}: kept ${keeps.join(', ')} % of what was not flushed; back after ${ms(startMs)}, leaders after ${ms(leadersMs)}; ${acked}`
        )
      }
      return `${rounds} rounds, ${acked}`
    })
}

/** The disks lose what was not flushed: shown on one of them while the cluster is down. */
async function proveLoss({ cluster, disks }: DiskStage): Promise<void> {
  await cluster.killAll()
  await diskOf(disks, 0).proveLoss()
  await cluster.startAll()
  await cluster.awaitLeaders()
}

/** Waits until a node with a bad disk leads nothing, then demands that the others go on as ever. Resolves with both, in words. */
async function sufferBadDisk(stage: DiskStage, victim: ClusterNode, ledMsMax: number, what: string): Promise<string> {
  const { cluster, ledger } = stage
  const [observer = victim] = othersThan(stage, victim)
  const ledMs = await cluster.awaitLeadersElsewhere(victim, observer, ledMsMax)
  const onset = await awaitAcks(ledger, `while ${what}`, 1000)
  demand(onset.worst < GAP_MS_MAX, `${ms(onset.worst)} without an acknowledgement since ${what}`)
  const [before, from] = [await ledger.ask('stats'), performance.now()]
  const whyNotJudged = watchMachine()
  await ledger.ask('mark')
  const steady = await awaitAcks(ledger, `while ${what}`, STEADY_MS)
  const after = await ledger.ask('stats')
  const rate = ((after.acked ?? 0) - (before.acked ?? 0)) / ((performance.now() - from) / 1000)
  const reason = whyNotJudged()
  demand(
    steady.worst < STEADY_GAP_MS_MAX || reason !== null,
    `others lead, and yet ${ms(steady.worst)} without an acknowledgement, while ${what}`
  )
  return `${what}: it led nothing after ${ms(ledMs)}, ${ms(onset.worst)} without acknowledgement; then ${rate.toFixed(0)} records/s, at most ${ms(steady.worst)} without${reason === null ? '' : `; ${reason}`}`
}

async function recovered(stage: DiskStage): Promise<string> {
  const leadersMs = await stage.cluster.awaitLeaders()
  const syncMs = await stage.cluster.awaitHealth()
  return `good again: leaders after ${ms(leadersMs)}, in sync after ${ms(leadersMs + syncMs)}; ${await audited(stage)}`
}

export const clusterDiskFull: Scenario = {
  name: 'cluster-disk-full',
  title: 'a full disk on one of three nodes stops nobody, and that node catches up when space returns',
  rounds: 1,
  longRounds: 5,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async stage => {
      let words = ''
      for (let round = 1; round <= context.rounds; round++) {
        await calmThenMark(stage)
        const victim = await someLeader(stage)
        const { folder } = diskOf(stage.disks, victim.options.node).files
        const ballast = join(folder, 'ballast')
        const { bavail, bsize } = statfsSync(folder)
        await mustRun('fallocate', ['-l', `${Math.floor((bavail * bsize) / 2 ** 20) - LEFT_MEBIBYTES}M`, ballast])
        words = await sufferBadDisk(stage, victim, FULL_LED_MS_MAX, `the disk of ${victim.name} is full`)
        rmSync(ballast)
        words += `; ${await recovered(stage)}`
        context.say(`round ${round}: ${words}`)
      }
      return words
    })
}

export const clusterSlowDisk: Scenario = {
  name: 'cluster-slow-disk',
  title: 'a node whose disk becomes slow loses leadership and does not drag the others along',
  rounds: 1,
  longRounds: 5,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async stage => {
      let words = ''
      for (let round = 1; round <= context.rounds; round++) {
        await calmThenMark(stage)
        const victim = await someLeader(stage)
        const disk = diskOf(stage.disks, victim.options.node)
        const slowMs = context.random.between(500, 1500)
        disk.slowDown(slowMs)
        try {
          const tookMs = await disk.timeWrite()
          demand(tookMs >= slowMs, `a write to the slow disk takes ${ms(tookMs)}: it is not slow`)
          const what = `every write to the disk of ${victim.name} takes ${slowMs} ms`
          words = await sufferBadDisk(stage, victim, SLOW_LED_MS_MAX, what)
        } finally {
          disk.slowDown(0)
        }
        words += `; ${await recovered(stage)}`
        context.say(`round ${round}: ${words}`)
      }
      return words
    })
}
