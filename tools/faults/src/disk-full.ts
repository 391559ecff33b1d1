/**
 * A disk that fills up: producers are told so, quickly, by an error; reads and metadata go on; nothing dies; when there is space
 * again, producing works again by itself; and nothing that was acknowledged is lost in any of it.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, statfsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, logEnd, processTree, runProgram, startMilena } from '@milena/bench'
import { Ledger, type Answer } from './ledger.ts'
import { LoopFileSystem, missingForMounts } from './mounts.ts'
import { demand, type Scenario, type ScenarioContext } from './scenario.ts'

const imageMebibytes = 1536
const leaveMebibytes = 64
/** A refusal that takes longer is as bad as none. */
const refusalMsMax = 5000
const recoveryMsMax = 10_000

function freeMebibytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return (bavail * bsize) / 2 ** 20
}

async function run(context: ScenarioContext): Promise<string> {
  const files = new LoopFileSystem(`${context.dir}/image`, `${context.dir}/files`)
  files.makeImage(imageMebibytes)
  await files.format()
  await files.mount()
  const ballast = `${files.folder}/ballast`
  const { shardCount, kload } = context
  const settings = { 'log.segment.bytes': `${16 * 2 ** 20}` }
  const peer = await startMilena({
    dir: `${context.dir}/broker`,
    dataDir: `${files.folder}/data`,
    shardCount,
    settings
  })
  let ledger: Ledger | undefined
  try {
    const shape = { topic: 'ledger', partitions: 4, writers: 0, rate: 1000, seed: context.random.between(1, 2 ** 31) }
    ledger = await Ledger.open({ kload, bootstrap: peer.bootstrap, ...shape })
    for (let i = 0; i < 20; i++) demand((await ledger.ask('try')).ok, 'a record is refused while there is space')
    const members = processTree(peer.rootPid)

    const ballastMebibytes = Math.floor(freeMebibytes(files.folder) - leaveMebibytes)
    if (ballastMebibytes > 0) await runProgram('fallocate', ['-l', `${ballastMebibytes}M`, ballast])
    const refused = await fillUp(context, ledger, peer.bootstrap, files.folder)
    const errors = [...new Set((refused.results ?? []).map(each => each.error).filter(each => each !== undefined))]
    context.say(
      `full: ${errors.join(', ')}; slowest answer ${Math.max(...(refused.results ?? []).map(each => each.ms))} ms`
    )
    for (const { partition, ms } of refused.results ?? [])
      demand(ms < refusalMsMax, `partition ${partition} took ${ms} ms to say anything`)

    await ledger.audit()
    const metadata = await runProgram(kload, ['ready', '-b', peer.bootstrap, '-t', 'ledger', '-within', '20s'])
    demand(metadata.code === 0, `metadata does not work on a full disk: ${metadata.stderr}`)
    demand(await peer.isReady(), 'the broker says that it is not ready')
    demand(members.every(isAlive), 'a process died of the full disk')

    rmSync(ballast, { force: true })
    const from = performance.now()
    while (!(await ledger.ask('try', refusalMsMax)).ok) {
      demand(
        performance.now() - from < recoveryMsMax,
        `there is space for ${recoveryMsMax} ms, but records are still refused`
      )
      await sleep(100)
    }
    const recovered = performance.now() - from
    await ledger.audit()
    await peer.kill()
    await peer.start()
    const audit = await ledger.audit(60_000)
    await ledger.proveSensitivity()
    return `refused with ${errors.join(', ')}, works again after ${(recovered / 1000).toFixed(1)} s, ${audit.acked} acknowledged records all in place`
  } catch (error) {
    context.say(`end of the broker's log:\n${logEnd(peer.logFile)}`)
    throw error
  } finally {
    ledger?.close()
    await peer.kill()
    await peer.remove()
    await files.unmount()
    spawnSync('sync')
  }
}

/** Writes until every partition refuses; large batches first, since a journal may take small ones for a while. */
async function fillUp(context: ScenarioContext, ledger: Ledger, bootstrap: string, folder: string): Promise<Answer> {
  const from = performance.now()
  for (;;) {
    const load = ['produce', '-b', bootstrap, '-t', 'filler', '-n', '200000', '-s', '1024']
    await runProgram(context.kload, load, { timeoutMs: 5000 })
    const tried = await ledger.ask('try', refusalMsMax)
    context.say(
      `${freeMebibytes(folder).toFixed(0)} MiB free, ${tried.acked} of ${tried.results?.length ?? 0} partitions acknowledge`
    )
    if (tried.acked === 0) return tried
    demand(performance.now() - from < 120_000, 'the disk does not fill up in two minutes')
  }
}

export const diskFull: Scenario = {
  name: 'disk-full',
  title: 'a full disk refuses records with an error, keeps reads and metadata alive, and recovers when space returns',
  rounds: 1,
  missing: ({ target }) => (target === 'kafka' ? 'Kafka shuts down when its only disk is full' : missingForMounts()),
  run
}
