/** Random work against the model, with power cuts, clean restarts and (seeded) everything in between. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../disks/seeded-random.ts'
import type { LogOptions, LogStore } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import {
  CountingFold,
  ModelLog,
  adoptRecovered,
  appendEntry,
  checkLog,
  checkRandomRead,
  checkTimestamps,
  randomEntry
} from './store-model.ts'

const options: LogOptions = { segmentBytes: 128 << 10, indexIntervalBytes: 1024, segmentMs: 60_000 }

class World {
  readonly random: SeededRandom
  readonly host: MemoryStoreHost
  readonly models = new Map<string, ModelLog>()
  readonly folds = new Map<string, CountingFold>()
  store!: LogStore

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.host = new MemoryStoreHost({
      seed,
      settings: {
        memoryBytes: 2 << 20,
        journalBytes: 512 << 10,
        journalFileCount: 4,
        inlineBytesMax: 16 << 10,
        checkpointBytes: 512 << 10
      },
      folds: name => this.#newFold(name),
      onFlushed: logs => {
        for (const log of logs) this.models.get(log.name)!.acknowledged = log.flushedOffset
      }
    })
  }

  #newFold(name: string): CountingFold {
    const fold = new CountingFold()
    this.folds.set(name, fold)
    return fold
  }

  async start(logCount: number): Promise<void> {
    this.store = await this.host.open()
    const names = Array.from({ length: logCount }, (_, index) => `log-${index}`)
    await this.store.createLogs(names.map(name => ({ name, options, fold: this.#newFold(name) })))
    for (const name of names) this.models.set(name, new ModelLog(name))
  }

  pick(): ModelLog {
    const models = [...this.models.values()]
    return models[this.random.below(models.length)]!
  }

  async step(): Promise<void> {
    const { random, store } = this
    const model = this.pick()
    const log = store.logs.get(model.name)!
    const kind = random.below(1000)
    if (kind < 600) await this.append(model, 1 + random.below(6))
    else if (kind < 700) await log.flush()
    else if (kind < 860) await checkRandomRead(log, model, random)
    else if (kind < 920) await checkTimestamps(log, model, random)
    else if (kind < 940) await checkLog(log, model, 1 + random.below(200_000))
    else if (kind < 955) await this.truncate(model)
    else if (kind < 965) await this.trim(model)
    else if (kind < 970) await this.reset(model)
    else if (kind < 985) this.host.clock.advance(random.below(15_000))
    else if (kind < 992) await this.restart(false)
    else await this.restart(true)
  }

  async append(model: ModelLog, count: number): Promise<void> {
    const log = this.store.logs.get(model.name)!
    for (let made = 0; made < count; made++) {
      const entry = randomEntry(this.random, model.endOffset)
      const done = await appendEntry(this.store, log, entry, () => {
        model.entries.push(entry)
        this.folds.get(model.name)!.apply(entry.bytes)
      })
      expect(done).toBe(true)
    }
  }

  async truncate(model: ModelLog): Promise<void> {
    const visible = model.entries.filter(entry => entry.baseOffset >= model.startOffset)
    if (visible.length === 0) return
    const { baseOffset } = visible[Math.max(0, visible.length - 1 - this.random.below(20))]!
    await this.store.logs.get(model.name)!.truncate(baseOffset)
    if (model.startOffset > 0) model.foldUnknown = true
    model.entries = model.entries.filter(entry => entry.baseOffset < baseOffset)
    model.acknowledged = Math.min(model.acknowledged, baseOffset)
    this.checkFold(model)
  }

  async trim(model: ModelLog): Promise<void> {
    const to = model.startOffset + this.random.below(model.endOffset - model.startOffset + 1)
    await this.store.logs.get(model.name)!.trim(to)
    model.startOffset = Math.max(model.startOffset, to)
  }

  async reset(model: ModelLog): Promise<void> {
    const offset = this.random.chance(0.5) ? 0 : this.random.below(2 * model.endOffset + 2)
    await this.store.logs.get(model.name)!.resetTo(offset)
    model.reset(offset)
    this.checkFold(model)
  }

  async restart(crash: boolean): Promise<void> {
    if (crash) this.host.crash(this.random.chance(0.3) ? 'drop-all' : 'random')
    else await this.store.close()
    this.store = await this.host.open()
    for (const model of this.models.values()) {
      await adoptRecovered(this.store.logs.get(model.name), model, 1 + this.random.below(300_000))
      if (!crash) expect(model.acknowledged).toBe(model.endOffset)
      this.checkFold(model)
    }
    expect(this.store.status().damage).toEqual([])
  }

  /** A fold stands for every entry of the log's life that was not cut, trimmed ones included. */
  checkFold(model: ModelLog): void {
    if (model.foldUnknown) return
    const expected = new CountingFold()
    for (const entry of model.entries) expected.apply(entry.bytes)
    const fold = this.folds.get(model.name)!
    expect({ name: model.name, count: fold.count, sum: fold.sum }).toEqual({
      name: model.name,
      count: expected.count,
      sum: expected.sum
    })
  }
}

describe('random work against the model', () => {
  const seeds = Number(process.env['MILENA_SEEDS'] ?? 12)
  const first = Number(process.env['MILENA_SEED'] ?? 1)
  for (let seed = first; seed < first + seeds; seed++)
    it(
      `seed ${seed}: nothing acknowledged is lost, nothing else appears, every read and look-up is right`,
      { timeout: 240_000 },
      async () => {
        const world = new World(seed)
        await world.start(1 + (seed % 7))
        for (let step = 0; step < 400; step++) await world.step()
        await world.restart(true)
        await world.store.close()
      }
    )
})
