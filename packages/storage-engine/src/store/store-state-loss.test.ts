/** The small state lost again and again amid random work: logs come back from their segments and the journal alone. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../disks/seeded-random.ts'
import { StoreError } from '../errors.ts'
import type { Log, LogOptions, LogStore } from '../log-store.ts'
import { MemoryStoreHost } from '../testing/memory-store.ts'
import { ModelLog, appendEntry, concat, randomEntry } from './store-model.ts'

const options: LogOptions = { segmentBytes: 64 << 10, indexIntervalBytes: 1024, segmentMs: 1e12 }

class World {
  readonly random: SeededRandom
  readonly host: MemoryStoreHost
  readonly models = new Map<string, ModelLog>()
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
      onFlushed: logs => {
        for (const log of logs) this.models.get(log.name)!.acknowledged = log.flushedOffset
      }
    })
  }

  async start(logCount: number): Promise<void> {
    this.store = await this.host.open()
    const names = Array.from({ length: logCount }, (_, index) => `log-${index}`)
    await this.store.createLogs(names.map(name => ({ name, options })))
    for (const name of names) this.models.set(name, new ModelLog(name))
  }

  async step(): Promise<void> {
    const { random } = this
    const models = [...this.models.values()]
    const model = models[random.below(models.length)]!
    const log = this.store.logs.get(model.name)!
    const kind = random.below(100)
    if (kind < 70) await this.append(log, model, 1 + random.below(6))
    else if (kind < 82) await log.flush()
    else if (kind < 88) await this.truncate(log, model)
    else if (kind < 90) await this.beginAnew(log, model)
    else if (kind < 94) this.host.clock.advance(random.below(15_000))
    else if (kind < 97) await this.restart(false)
    else await this.restart(true)
  }

  async append(log: Log, model: ModelLog, count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      const entry = randomEntry(this.random, model.endOffset)
      expect(await appendEntry(this.store, log, entry, () => model.entries.push(entry))).toBe(true)
    }
  }

  async truncate(log: Log, model: ModelLog): Promise<void> {
    if (model.entries.length === 0) return
    const { baseOffset } = model.entries[Math.max(0, model.entries.length - 1 - this.random.below(20))]!
    await log.truncate(baseOffset)
    model.entries = model.entries.filter(entry => entry.baseOffset < baseOffset)
    model.acknowledged = Math.min(model.acknowledged, baseOffset)
  }

  /** Elsewhere, or at the beginning again; sometimes as another log of the same name. */
  async beginAnew(log: Log, model: ModelLog): Promise<void> {
    const offset = this.random.chance(0.5) ? 0 : this.random.below(2 * model.endOffset + 2)
    if (this.random.chance(0.3)) {
      await this.store.removeLogs([model.name])
      await this.store.createLogs([{ name: model.name, options }])
      model.reset(0)
    } else {
      await log.resetTo(offset)
      model.reset(offset)
    }
  }

  async restart(stateLost: boolean): Promise<void> {
    this.host.crash(this.random.chance(0.3) ? 'drop-all' : 'random')
    if (stateLost) this.host.state.erase()
    this.store = await this.host.open()
    expect(this.store.status().stateLost).toBe(stateLost)
    for (const model of this.models.values()) await this.adopt(model)
    if (stateLost) await this.store.acknowledgeStateLoss()
  }

  /** Everything acknowledged is there; what follows and was not appended last (it was cut off) is cut off again. */
  async adopt(model: ModelLog): Promise<void> {
    const log = this.store.logs.get(model.name)
    if (log === undefined) {
      // Without entries nothing speaks of a log.
      expect(model.entries.filter(entry => entry.nextOffset <= model.acknowledged)).toEqual([])
      model.reset(0)
      await this.store.createLogs([{ name: model.name, options }])
      return
    }
    let end = model.startOffset
    for (const { baseOffset, nextOffset, bytes } of model.entries) {
      const same = nextOffset <= log.endOffset && (await isAt(log, baseOffset, bytes))
      if (nextOffset <= model.acknowledged) expect(same, `${model.name} at ${baseOffset}`).toBe(true)
      if (!same) break
      end = nextOffset
    }
    if (end === model.startOffset) await log.resetTo(end)
    else if (end < log.endOffset) await log.truncate(end)
    model.entries = model.entries.filter(entry => entry.nextOffset <= end)
    model.acknowledged = end
  }
}

async function isAt(log: Log, offset: number, bytes: Uint8Array): Promise<boolean> {
  try {
    const read = await log.read(offset, 1, log.endOffset, true)
    const same = Buffer.compare(concat(read.slices), bytes) === 0
    read.release()
    return same
  } catch (error) {
    if (error instanceof StoreError && ['CORRUPT', 'OUT_OF_RANGE'].includes(error.code)) return false
    throw error
  }
}

describe('a store that loses its small state', () => {
  const seeds = Number(process.env['MILENA_SEEDS'] ?? 12)
  const first = Number(process.env['MILENA_SEED'] ?? 1)
  for (let seed = first; seed < first + seeds; seed++)
    it(`seed ${seed}: has everything that was acknowledged`, { timeout: 120_000 }, async () => {
      const world = new World(seed)
      await world.start(1 + (seed % 4))
      for (let step = 0; step < 300; step++) await world.step()
      await world.restart(true)
      await world.store.close()
    })
})
