/**
 * Power cuts at every single operation of a script, and again at every operation of the recovery that follows; planted bugs
 * that this must find.
 */
import { describe, expect, it } from 'vitest'
import type { Disk, DiskFile } from '../disk.ts'
import type { CrashPolicy } from '../disks/memory-disk.ts'
import { DiskError } from '../errors.ts'
import { SeededRandom } from '../disks/seeded-random.ts'
import type { LogOptions, LogStore } from '../log-store.ts'
import type { StoreSettings } from '../store-options.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { CountingFold, ModelLog, adoptRecovered, appendEntry, isPowerLoss, randomEntry } from './store-model.ts'

const options: LogOptions = { segmentBytes: 96 << 10, indexIntervalBytes: 1024, segmentMs: 1e12 }
const names = ['a', 'b', 'c']

/** A machine that loses power at its `cutAt`-th disk operation. */
class Machine {
  readonly host: MemoryStoreHost
  readonly models = new Map(names.map(name => [name, new ModelLog(name)]))
  readonly #random: SeededRandom
  readonly #policy: CrashPolicy
  #left: number
  readonly cut: Promise<void>
  #resolveCut!: () => void
  created = false

  constructor(
    seed: number,
    cutAt: number,
    policy: CrashPolicy,
    wrapDisk: (disk: Disk) => Disk = disk => disk,
    settings: Partial<StoreSettings> = {}
  ) {
    this.#random = new SeededRandom(seed)
    this.#left = cutAt
    this.#policy = policy
    this.cut = new Promise(resolve => (this.#resolveCut = resolve))
    this.host = new MemoryStoreHost({
      seed,
      settings: {
        memoryBytes: 2 << 20,
        journalBytes: 256 << 10,
        journalFileCount: 4,
        inlineBytesMax: 8 << 10,
        checkpointBytes: 200 << 10,
        ...settings
      },
      disk: { onOperation: () => this.#tick() },
      wrapDisk,
      folds: () => new CountingFold(),
      onFlushed: logs => {
        for (const log of logs) this.models.get(log.name)!.acknowledged = log.flushedOffset
      }
    })
  }

  #tick(): void {
    if (--this.#left !== 0) return
    this.host.crash(this.#policy, { onOperation: () => this.#tick() })
    this.#resolveCut()
  }

  /** Lets the next power cut come at the `operations`-th operation from now. */
  arm(operations: number): Promise<void> {
    this.#left = operations
    return new Promise(resolve => (this.#resolveCut = resolve))
  }

  async script(): Promise<void> {
    const store = await this.host.open()
    const logs = await store.createLogs(names.map(name => ({ name, options, fold: new CountingFold() })))
    this.created = true
    for (let round = 0; round < 17; round++) {
      for (const log of logs) {
        const model = this.models.get(log.name)!
        for (let made = 0; made < 1 + this.#random.below(5); made++) {
          const entry = randomEntry(this.#random, log.endOffset)
          if (!(await appendEntry(store, log, entry, () => model.entries.push(entry)))) return
        }
      }
      await logs[round % 3]!.flush()
      if (round % 5 === 3) await this.#truncate(store, names[round % 3]!)
      if (round % 5 === 4) await this.#trim(store, names[round % 3]!)
      if (round % 6 === 5) await this.#reset(store, names[round % 3]!)
    }
    await store.close()
  }

  async #truncate(store: LogStore, name: string): Promise<void> {
    const model = this.models.get(name)!
    const last = model.entries.at(-2)
    if (last === undefined || last.baseOffset < model.startOffset) return
    model.cutTo = last.baseOffset
    await store.logs.get(name)!.truncate(last.baseOffset)
    model.entries = model.entries.filter(entry => entry.baseOffset < last.baseOffset)
    model.acknowledged = Math.min(model.acknowledged, last.baseOffset)
    model.cutTo = undefined
  }

  async #trim(store: LogStore, name: string): Promise<void> {
    const model = this.models.get(name)!
    model.trimTo = Math.max(model.startOffset, model.endOffset - 20)
    await store.logs.get(name)!.trim(model.trimTo)
    model.startOffset = model.trimTo
    model.trimTo = undefined
  }

  /** To the very beginning, where the log has lived before, or to somewhere ahead. */
  async #reset(store: LogStore, name: string): Promise<void> {
    const model = this.models.get(name)!
    model.resetTo = this.#random.chance(0.5) ? 0 : model.endOffset + this.#random.below(100)
    await store.logs.get(name)!.resetTo(model.resetTo)
    model.reset(model.resetTo)
  }

  /** Runs the script until it ends or the power goes. False when it ended. */
  async runUntilCut(): Promise<boolean> {
    let ended = false
    const script = this.script().then(
      () => (ended = true),
      (error: unknown) => {
        if (!isPowerLoss(error) && !(error instanceof Error && error.message.startsWith('CLOSED'))) throw error
      }
    )
    await Promise.race([script, this.cut])
    return !ended
  }

  /** Opens what survived and compares. */
  async check(): Promise<LogStore> {
    const store = await this.host.open()
    expect(store.status().damage).toEqual([])
    expect(store.status().stateLost).toBe(false)
    if (store.logs.size === 0 && !this.created) return store
    for (const model of this.models.values()) await adoptRecovered(store.logs.get(model.name), model, 70_000)
    return store
  }
}

const policies: CrashPolicy[] = ['random', 'drop-all', 'keep-all', 'tear-all']

describe('a power cut', () => {
  const seeds = Number(process.env['MILENA_SEEDS'] ?? 1)
  /** Cuts the power at every operation of the script, for every seed. */
  async function cutEverywhere(
    policy: CrashPolicy,
    plant: (disk: Disk) => Disk,
    settings: Partial<StoreSettings>
  ): Promise<number> {
    let cuts = 0
    for (let seed = 1; seed <= seeds; seed++)
      for (let cutAt = 1; ; cutAt++) {
        const machine = new Machine(seed, cutAt, policy, plant, settings)
        const wasCut = await machine.runUntilCut()
        if (!wasCut) break
        cuts++
        const store = await machine.check().catch((error: unknown) => {
          throw new Error(`seed ${seed}, cut at operation ${cutAt}`, { cause: error })
        })
        await store.close()
      }
    return cuts
  }

  for (const policy of policies)
    it(
      `at any disk operation (${String(policy)}) loses nothing that was acknowledged and invents nothing`,
      { timeout: 120_000 },
      async () => expect(await cutEverywhere(policy, disk => disk, {})).toBeGreaterThan(100)
    )

  /** Everything inline, and destaged gently from a few pages on. */
  const gentle: Partial<StoreSettings> = { inlineBytesMax: 60 << 10, gentleBytesMin: 12 << 10, journalBytes: 256 << 10 }

  for (const policy of ['drop-all', 'tear-all'] as const)
    it(`at any operation of gentle destaging (${policy}) loses nothing either`, { timeout: 120_000 }, async () => {
      const seen: string[] = []
      await cutEverywhere(policy, disk => planted(disk, { open: gentlyOpened(disk, seen) }), gentle)
      for (const operation of ['write', 'sync', 'close'])
        expect(seen.filter(each => each === operation).length).toBeGreaterThan(100)
    })

  it(
    'during recovery, at any operation, up to three deep, changes nothing about the result',
    { timeout: 120_000 },
    async () => {
      const random = new SeededRandom(7)
      for (let trial = 0; trial < 60; trial++) {
        const machine = new Machine(trial + 1, 60 + random.below(150), 'random')
        if (!(await machine.runUntilCut())) continue
        for (let depth = 0; depth < 3; depth++) {
          const cut = machine.arm(1 + random.below(25))
          const opening = machine.host.open().then(
            () => undefined,
            () => undefined
          )
          await Promise.race([opening, cut])
          void machine.arm(-1)
          machine.host.crash('random')
        }
        const store = await machine.check().catch((error: unknown) => {
          throw new Error(`trial ${trial}`, { cause: error })
        })
        await store.close()
      }
    }
  )

  /** Runs the script on a disk with a planted bug, cut at many operations; how many checks failed. */
  async function countNoticed(plant: (disk: Disk) => Disk, settings?: Partial<StoreSettings>): Promise<number> {
    let noticed = 0
    for (let cutAt = 20; cutAt < 220; cutAt += 2) {
      const machine = new Machine(1, cutAt, 'drop-all', plant, settings)
      if (!(await machine.runUntilCut())) break
      await machine.check().then(
        store => store.close(),
        () => noticed++
      )
    }
    return noticed
  }

  const notDurable = (pattern: RegExp) => (disk: Disk) =>
    planted(disk, { open: (path, how) => disk.open(path, pattern.test(path) ? { ...how, durable: false } : how) })

  it('is noticed when the journal is not written durably (canary)', async () => {
    expect(await countNoticed(notDurable(/\.journal$/))).toBeGreaterThan(5)
  })

  it('is noticed when segments are not written durably (canary)', async () => {
    expect(await countNoticed(notDurable(/\.log$/))).toBeGreaterThan(5)
  })

  it('is noticed when gentle destaging does not flush at its end (canary)', async () => {
    const plant = (disk: Disk) => planted(disk, { open: gentlyOpened(disk, [], { sync: () => Promise.resolve() }) })
    expect(await countNoticed(plant, gentle)).toBeGreaterThan(5)
  })

  it('is noticed when folders are not synced (canary)', async () => {
    expect(await countNoticed(disk => planted(disk, { syncDirectory: () => Promise.resolve() }))).toBeGreaterThan(5)
  })
})

describe('one operation that fails while all others succeed', () => {
  const seeds = Number(process.env['MILENA_SEEDS'] ?? 1)
  /** Here a store that took a failed commit for a complete one lost entries. */
  const firstSeed = 3

  it.each(['keep-all', 'drop-all'] as const)(
    'wherever it is, loses nothing that was acknowledged and invents nothing (power: %s)',
    { timeout: 120_000 },
    async policy => {
      let failed = 0
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++)
        for (let failAt = 1, left = 0; left <= 0; failAt++) {
          left = failAt
          const due = (): boolean => machine.created && --left === 0
          const machine: Machine = new Machine(seed, -1, policy, disk => failing(disk, due))
          await machine.runUntilCut()
          if (left > 0) break
          failed++
          machine.host.crash(policy)
          const store = await machine.check().catch((error: unknown) => {
            throw new Error(`seed ${seed}, operation ${failAt} fails`, { cause: error })
          })
          await store.close()
        }
      expect(failed).toBeGreaterThan(100)
    }
  )
})

/** A disk of which the changing operations fail that are `due`. */
function failing(disk: Disk, due: () => boolean): Disk {
  const failingly = <T extends object, K extends keyof T>(target: T, names: readonly K[]): Partial<T> =>
    Object.fromEntries(
      names.map(name => [
        name,
        (...args: unknown[]): unknown => {
          if (due()) return Promise.reject(new DiskError('IO', '/', `${String(name)} failed: EIO`))
          return (target[name] as (...args: unknown[]) => unknown).apply(target, args)
        }
      ])
    ) as Partial<T>
  const open: Disk['open'] = async (path, how) => {
    const file = await disk.open(path, how)
    return planted(file, failingly(file, ['write', 'sync', 'truncate', 'allocate']))
  }
  return planted(disk, { ...failingly(disk, ['syncDirectory', 'remove']), open })
}

/** `Disk.open` that notes what is done with segments opened for gentle writes, and plants `bug` there. */
function gentlyOpened(disk: Disk, seen: string[], bug: Partial<DiskFile> = {}): Disk['open'] {
  return async (path, how) => {
    const file = await disk.open(path, how)
    if (how.durable || how.mode !== 'write' || !path.endsWith('.log')) return file
    const noted = Object.fromEntries(
      (['write', 'sync', 'close'] as const).map(name => [
        name,
        async (...args: [Uint8Array, number]) => {
          seen.push(name)
          await (bug[name] ?? file[name]).apply(file, args)
        }
      ])
    )
    return planted(file, noted)
  }
}

function planted<T extends object>(target: T, bug: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const own: unknown = bug[name as keyof T] ?? target[name as keyof T]
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    }
  })
}
