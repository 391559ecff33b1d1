/**
 * What disks do to a cluster of three real nodes, each on a disk of its own with a volatile write cache: all of them lose power at
 * once, one is full, one is slow. Nothing acknowledged may be lost, and one bad disk must not stop the others.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mustRun } from '@milena/bench'
import { LocalCluster } from './cluster/local-cluster.ts'
import type { Ledger } from './ledger.ts'
import { missingForVolatileDisk, VolatileDisk } from './mounts.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

const NODES = 3
const DISK_MEBIBYTES = 1024
/** What a full disk has left: below the reserve of the store. */
const LEFT_MEBIBYTES = 24
/** Longest time without an acknowledgement that a node's bad disk may cause, ms: its partitions are led by others by then. */
const GAP_MS_MAX = 10_000

interface Stage {
  readonly disks: readonly VolatileDisk[]
  readonly cluster: LocalCluster
  readonly ledger: Ledger
}

async function onDisks(context: ScenarioContext, body: (stage: Stage) => Promise<string>): Promise<string> {
  const disks: VolatileDisk[] = []
  let cluster: LocalCluster | undefined
  let ledger: Ledger | undefined
  try {
    for (let node = 0; node < NODES; node++)
      disks.push(await VolatileDisk.open(join(context.dir, `disk-${node}`), DISK_MEBIBYTES))
    cluster = await LocalCluster.start(context, { nodes: NODES, dataDir: node => join(folderOf(disks, node), 'data') })
    ledger = await cluster.openLedger()
    return await body({ disks, cluster, ledger })
  } catch (error) {
    if (cluster !== undefined) context.say(`ends of the nodes' logs:\n${cluster.logEnds()}`)
    throw error
  } finally {
    ledger?.close()
    await cluster?.close()
    for (const disk of disks) await disk.close()
  }
}

function folderOf(disks: readonly VolatileDisk[], node: number): string {
  const folder = disks[node]?.files.folder
  if (folder === undefined) throw new Error(`node ${node} has no disk`)
  return folder
}

export const clusterPowerLoss: Scenario = {
  name: 'cluster-power-loss',
  title: 'a power loss of all three nodes at once loses nothing that was acknowledged',
  rounds: 5,
  missing: ({ target }) => (target === 'kafka' ? 'Kafka acknowledges before it flushes' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async ({ disks, cluster, ledger }) => {
      const { random, rounds } = context
      let acked = 0
      for (let round = 1; round <= rounds; round++) {
        await ledger.ask('resume')
        await sleep(random.between(300, 1500))
        const keeps = disks.map(disk => {
          const keep = random.between(0, 3) * 50
          disk.losePower(random.between(1, 2 ** 31), keep)
          return keep
        })
        await cluster.killAll()
        for (const disk of disks) await disk.reboot()
        await cluster.startAll()
        const leadersMs = await cluster.awaitLeaders()
        const audit = await ledger.verify(60_000)
        acked = audit.acked ?? 0
        context.say(
          `round ${round}: kept ${keeps.join(', ')} % of what was not flushed, leaders after ${leadersMs.toFixed(0)} ms; ${acked} acknowledged, ${audit.read} read`
        )
      }
      demand(acked > 0, 'nothing was ever acknowledged')
      await ledger.proveSensitivity()
      return `${rounds} rounds, ${acked} acknowledged records all in place`
    })
}

/** Demands that every partition is acknowledged within `GAP_MS_MAX` of the mark, in spite of one node. */
async function demandProgress(ledger: Ledger, what: string): Promise<number> {
  for (const from = performance.now(); ; await sleep(50)) {
    const { gaps = [] } = await ledger.ask('gaps')
    if (gaps.length > 0 && gaps.every(gap => gap >= 0)) return Math.max(...gaps)
    const waiting = gaps.flatMap((gap, partition) => (gap < 0 ? [partition] : []))
    demand(performance.now() - from < GAP_MS_MAX, `partitions ${waiting.join(', ')} acknowledge nothing: ${what}`)
  }
}

export const clusterDiskFull: Scenario = {
  name: 'cluster-disk-full',
  title: 'a full disk on one of three nodes stops nobody, and that node catches up when space returns',
  rounds: 1,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async ({ disks, cluster, ledger }) => {
      await ledger.ask('resume')
      await sleep(1000)
      const victim = context.random.between(0, NODES)
      const ballast = join(folderOf(disks, victim), 'ballast')
      const free = (await mustRun('df', ['--output=avail', '-BM', folderOf(disks, victim)])).match(/(\d+)M/)?.[1]
      await mustRun('fallocate', ['-l', `${Math.max(1, Number(free) - LEFT_MEBIBYTES)}M`, ballast])
      await sleep(3000)
      await ledger.ask('mark')
      await sleep(3000)
      const gap = await demandProgress(ledger, `the disk of node ${victim} is full`)
      demand(gap < GAP_MS_MAX, `${gap} ms without an acknowledgement while the disk of node ${victim} is full`)
      rmSync(ballast)
      await cluster.awaitLeaders()
      await sleep(2000)
      const audit = await ledger.verify(60_000)
      await ledger.proveSensitivity()
      return `longest time without an acknowledgement ${gap.toFixed(0)} ms; ${audit.acked} acknowledged records all in place`
    })
}

export const clusterSlowDisk: Scenario = {
  name: 'cluster-slow-disk',
  title: 'a disk that becomes slow on one of three nodes does not drag the others along',
  rounds: 1,
  missing: ({ target }) => (target === 'kafka' ? 'one Kafka node has no others' : missingForVolatileDisk()),
  run: context =>
    onDisks(context, async ({ disks, ledger }) => {
      await ledger.ask('resume')
      await sleep(1000)
      const victim = context.random.between(0, NODES)
      disks[victim]?.slowDown(context.random.between(500, 1500))
      await sleep(GAP_MS_MAX)
      const [before, from] = [await ledger.ask('stats'), performance.now()]
      await ledger.ask('mark')
      await sleep(4000)
      const gap = await demandProgress(ledger, `every write to the disk of node ${victim} is slow`)
      const after = await ledger.ask('stats')
      const rate = ((after.acked ?? 0) - (before.acked ?? 0)) / ((performance.now() - from) / 1000)
      disks[victim]?.slowDown(0)
      await sleep(2000)
      const audit = await ledger.verify(60_000)
      demand(gap < GAP_MS_MAX, `${gap} ms without an acknowledgement while the disk of node ${victim} is slow`)
      await ledger.proveSensitivity()
      return `${rate.toFixed(0)} records/s meanwhile, longest time without an acknowledgement ${gap.toFixed(0)} ms; ${audit.acked} acknowledged records all in place`
    })
}
