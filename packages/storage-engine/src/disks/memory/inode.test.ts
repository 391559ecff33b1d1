/**
 * The simulated file against a model that knows nothing of sectors in flight, stable images or metadata logs: for every byte
 * the set of values that a power cut may leave. All crash tests above this room stand on it.
 */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../seeded-random.ts'
import { Inode, type Fate, type PendingWrite, type SyncScope } from './inode.ts'

const FILE_BYTES = 6 * 512
const SEEDS = 150
const STEPS = 60

interface Value {
  readonly value: number
  readonly order: number
}

/** Per byte: what is durable, and what came since. */
class Model {
  readonly visible = new Uint8Array(FILE_BYTES)
  readonly durable = new Uint8Array(FILE_BYTES)
  readonly since: Value[][] = Array.from({ length: FILE_BYTES }, () => [])
  size = 0
  /** The durable size first, then the sizes since. */
  sizes: { size: number; order: number }[] = [{ size: 0, order: 0 }]
  cuts: { length: number; order: number }[] = []
  order = 0

  write(bytes: Uint8Array, position: number): void {
    this.order += 1
    bytes.forEach((value, index) => this.#set(position + index, value))
    if (position + bytes.length > this.size) this.#resize(position + bytes.length)
  }

  truncate(length: number): void {
    this.order += 1
    if (length < this.size) {
      this.cuts.push({ length, order: this.order })
      for (let at = length; at < FILE_BYTES; at++) this.#set(at, 0)
    }
    this.#resize(length)
  }

  grow(size: number): void {
    this.order += 1
    this.#resize(Math.max(size, this.size))
  }

  /** All metadata so far is durable; of the bytes, those in [start, end). */
  harden(start: number, end: number): void {
    for (const { length, order } of this.cuts) {
      for (let at = length; at < FILE_BYTES; at++) {
        this.durable[at] = 0
        this.since[at] = (this.since[at] ?? []).filter(value => value.order > order)
      }
    }
    this.cuts = []
    this.sizes = [{ size: this.size, order: this.order }]
    for (let at = start; at < Math.min(end, FILE_BYTES); at++) {
      this.durable[at] = this.visible[at] ?? 0
      this.since[at] = []
    }
  }

  /** What happened up to `order` is durable; what came later is not. */
  completeSync(order: number): void {
    for (let at = 0; at < FILE_BYTES; at++) {
      const since = this.since[at] ?? []
      this.durable[at] = since.findLast(value => value.order <= order)?.value ?? this.durable[at] ?? 0
      this.since[at] = since.filter(value => value.order > order)
    }
    this.cuts = this.cuts.filter(cut => cut.order > order)
    const durable = this.sizes.findLastIndex(size => size.order <= order)
    if (durable > 0) this.sizes.splice(0, durable)
  }

  allows(at: number, value: number, inFlight: readonly PendingWrite[]): boolean {
    if (value === this.durable[at]) return true
    if (this.since[at]?.some(candidate => candidate.value === value)) return true
    return inFlight.some(({ position, bytes }) => bytes[at - position] === value)
  }

  #set(at: number, value: number): void {
    this.visible[at] = value
    this.since[at]?.push({ value, order: this.order })
  }

  #resize(size: number): void {
    this.size = size
    this.sizes.push({ size, order: this.order })
  }
}

function bytesOf(inode: Inode): Uint8Array {
  const bytes = new Uint8Array(inode.size)
  inode.image.read(bytes, 0)
  return bytes
}

/** One random life of a file. */
class Life {
  readonly inode = new Inode()
  readonly model = new Model()
  readonly inFlight: { write: PendingWrite; durable: boolean }[] = []
  readonly #random: SeededRandom
  #value = 0
  #sync: { scope: SyncScope; order: number } | undefined

  constructor(random: SeededRandom) {
    this.#random = random
  }

  step(): void {
    const choice = this.#random.below(12)
    if (choice < 5) this.#beginWrite()
    else if (choice < 8) this.#completeWrite()
    else if (choice < 10) this.#flush()
    else if (choice === 10) this.#truncate()
    else this.#allocate()
  }

  #beginWrite(): void {
    const aligned = this.#random.chance(0.5)
    const position = aligned ? this.#random.below(5) * 512 : this.#random.below(FILE_BYTES - 700)
    const length = aligned ? 512 * (1 + this.#random.below(2)) : 1 + this.#random.below(700)
    this.#value = (this.#value % 250) + 1
    const bytes = new Uint8Array(Math.min(length, FILE_BYTES - position)).fill(this.#value)
    this.inFlight.push({ write: this.inode.beginWrite(bytes, position), durable: this.#random.chance(0.3) })
  }

  #completeWrite(): void {
    const [done] = this.inFlight.splice(this.#random.below(Math.max(1, this.inFlight.length)), 1)
    if (done === undefined) return
    const { write, durable } = done
    const { bytes, position } = write
    this.inode.completeWrite(write, durable)
    this.model.write(bytes, position)
    const sectorStart = position - (position % 512)
    if (durable) this.model.harden(sectorStart, Math.ceil((position + bytes.length) / 512) * 512)
  }

  /** Begins or completes a flush: other operations happen in the middle of it. */
  #flush(): void {
    if (this.#sync === undefined) {
      this.#sync = { scope: this.inode.beginSync(), order: this.model.order }
      return
    }
    this.inode.completeSync(this.#sync.scope)
    this.model.completeSync(this.#sync.order)
    this.#sync = undefined
  }

  #truncate(): void {
    const length = this.#random.below(FILE_BYTES)
    this.inode.truncate(length)
    this.model.truncate(length)
  }

  #allocate(): void {
    const end = 512 * (1 + this.#random.below(6))
    this.inode.allocate(0, end)
    this.model.grow(end)
  }
}

function lives(check: (life: Life, random: SeededRandom, seed: number) => void): void {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed)
    const life = new Life(random)
    for (let step = 0; step < STEPS; step++) {
      life.step()
      check(life, random, seed)
    }
  }
}

describe('Inode against the model', () => {
  it('shows readers exactly what was written', () => {
    lives(({ inode, model }, _, seed) => {
      expect(inode.size, `seed ${seed}`).toBe(model.size)
      expect(Buffer.from(bytesOf(inode)).equals(model.visible.subarray(0, model.size)), `seed ${seed}`).toBe(true)
    })
  })

  it('leaves exactly the durable bytes when everything else is dropped', () => {
    lives(({ inode, model }, random, seed) => {
      const survivor = inode.survivor(() => 'dropped', random.fork())
      expect(survivor.size, `seed ${seed}`).toBe(model.sizes[0]?.size)
      expect(Buffer.from(bytesOf(survivor)).equals(model.durable.subarray(0, survivor.size)), `seed ${seed}`).toBe(true)
    })
  })

  it('leaves exactly what readers saw when everything is kept and nothing is in flight', () => {
    let compared = 0
    lives(({ inode, model, inFlight }, random, seed) => {
      if (inFlight.length > 0) return
      compared += 1
      const survivor = inode.survivor(() => 'kept', random.fork())
      expect(survivor.size, `seed ${seed}`).toBe(model.size)
      expect(Buffer.from(bytesOf(survivor)).equals(model.visible.subarray(0, model.size)), `seed ${seed}`).toBe(true)
    })
    expect(compared).toBeGreaterThan(300)
  })

  it('leaves at every byte something durable or newer, never anything older, for every mix of fates', () => {
    const fates: Fate[] = ['kept', 'dropped', 'torn']
    let differing = 0
    lives(({ inode, model, inFlight }, random, seed) => {
      const writes = inFlight.map(({ write }) => write)
      const survivor = inode.survivor(() => fates[random.below(3)] ?? 'kept', random.fork())
      const ends = writes.map(({ position, bytes }) => position + bytes.length)
      const sizes = [...model.sizes.map(({ size }) => size), ...ends]
      expect(sizes, `seed ${seed}: size ${survivor.size}`).toContain(survivor.size)
      const bytes = bytesOf(survivor)
      const wrong = bytes.findIndex((value, at) => !model.allows(at, value, writes))
      expect(wrong, `seed ${seed}: byte ${wrong} is ${bytes[wrong]}`).toBe(-1)
      if (bytes.some((value, at) => value !== model.durable[at])) differing += 1
    })
    expect(differing).toBeGreaterThan(1000)
  })

  it('goes on from a survivor as from any durable file', () => {
    lives(({ inode }, random, seed) => {
      const survivor = inode.survivor(() => (random.chance(0.5) ? 'kept' : 'torn'), random.fork())
      const again = survivor.survivor(() => 'dropped', random.fork())
      expect(again.size, `seed ${seed}`).toBe(survivor.size)
      expect(Buffer.from(bytesOf(again)).equals(bytesOf(survivor)), `seed ${seed}`).toBe(true)
    })
  })
})
