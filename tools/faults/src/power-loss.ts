/**
 * Power loss and failed flushes, below a real file system: the data folder is on ext4 on a disk with a volatile write cache, so
 * that "acknowledged" is checked against what the device had really been told to keep, and not against a page cache that survives
 * kill -9.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { logEnd, startMilena, type MilenaPeer } from '@milena/bench'
import { Ledger } from './ledger.ts'
import { missingForVolatileDisk, VolatileDisk } from './mounts.ts'
import type { Random } from './random.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

const diskMebibytes = 1024

async function onVolatileDisk(
  context: ScenarioContext,
  body: (disk: VolatileDisk, peer: MilenaPeer, ledger: Ledger) => Promise<string>
): Promise<string> {
  const disk = await VolatileDisk.open(context.dir, diskMebibytes)
  let peer: MilenaPeer | undefined
  let ledger: Ledger | undefined
  try {
    await disk.proveLoss()
    const { shardCount, kload } = context
    peer = await startMilena({ dir: `${context.dir}/broker`, dataDir: `${disk.files.folder}/data`, shardCount })
    const shape = { topic: 'ledger', partitions: 8, writers: 4, rate: 2000, seed: context.random.between(1, 2 ** 31) }
    ledger = await Ledger.open({ kload, bootstrap: peer.bootstrap, ...shape })
    return await body(disk, peer, ledger)
  } catch (error) {
    if (peer !== undefined) context.say(`end of the broker's log:\n${logEnd(peer.logFile)}`)
    throw error
  } finally {
    ledger?.close()
    await peer?.kill()
    await peer?.remove()
    await disk.close()
  }
}

/** Power is lost under a broker that runs, and back when this resolves; the broker is down then. Resolves with how, in words. */
async function losePower(disk: VolatileDisk, peer: MilenaPeer, random: Random): Promise<string> {
  const keep = random.between(0, 3) * 50
  disk.losePower(random.between(1, 2 ** 31), keep)
  await peer.kill()
  await disk.reboot()
  return `kept ${keep} % of what was not flushed`
}

export const powerLoss: Scenario = {
  name: 'power-loss',
  title: 'power loss that drops, tears and reorders unflushed writes loses nothing that was acknowledged',
  rounds: 30,
  missing: ({ target }) =>
    target === 'kafka' ? 'Kafka promises nothing for one node that loses power' : missingForVolatileDisk(),
  run: context =>
    onVolatileDisk(context, async (disk, peer, ledger) => {
      const { random, rounds } = context
      let acked = 0
      for (let round = 1; round <= rounds; round++) {
        await ledger.ask('resume')
        await sleep(random.between(50, 900))
        let words = await losePower(disk, peer, random)
        if (random.chance(0.25)) {
          peer.spawn()
          await sleep(random.between(200, 1000))
          words += `; again while it started, ${await losePower(disk, peer, random)}`
        }
        await peer.start()
        const audit = await ledger.verify(60_000)
        acked = audit.acked ?? 0
        context.say(`round ${round}: ${words}; ${acked} acknowledged, ${audit.read} read`)
      }
      demand(acked > 0, 'nothing was ever acknowledged')
      await ledger.proveSensitivity()
      return `${rounds} rounds, ${acked} acknowledged records all in place`
    })
}

export const failedFlush: Scenario = {
  name: 'failed-flush',
  title: 'after a flush that failed nothing is acknowledged that the disk does not have, and the log says so',
  rounds: 1,
  missing: ({ target }) => (target === 'kafka' ? 'Kafka does not flush before it answers' : missingForVolatileDisk()),
  run: context =>
    onVolatileDisk(context, async (disk, peer, ledger) => {
      const { random } = context
      await ledger.ask('resume')
      await sleep(500)
      const before = await ledger.ask('stats')
      disk.failFlush(random.between(1, 20), random.between(1, 2 ** 31))
      for (let waited = 0; disk.failedFlushes() === 0; waited += 20) {
        demand(waited < 20_000, 'no flush came to fail within 20 s')
        await sleep(20)
      }
      // The disk works again: a broker that tries once more gets a success that means nothing for what was lost.
      await sleep(3000)
      await ledger.ask('pause', 2000)
      const log = readFileSync(peer.logFile, 'utf8')
      demand(/EIO|I\/O error|input\/output error/i.test(log), 'the log does not mention the failure')
      disk.losePower(random.between(1, 2 ** 31), 0)
      await peer.kill()
      await disk.reboot()
      await peer.start()
      const audit = await ledger.verify(60_000)
      demand((before.acked ?? 0) > 0, 'nothing was acknowledged before')
      return `${audit.acked} acknowledged records all in place`
    })
}
