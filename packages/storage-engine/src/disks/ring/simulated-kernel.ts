/**
 * An io_uring in JavaScript, for tests of `Ring`: it reads the submission ring and writes the completion ring in plain memory
 * with the layout of the real one, and answers as the test says. No kernel, no event loop: turns run when the test asks.
 */
import { IO_URING, type RingKernel, type RingWatch } from './kernel.ts'

/** A submission as the kernel reads it. */
export interface SimulatedEntry {
  readonly opcode: number
  readonly fd: number
  readonly position: number
  readonly address: number
  readonly length: number
  readonly flags: number
  readonly userData: number
}

const SQ = { head: 0, tail: 4, mask: 8, entries: 12, flags: 16, dropped: 20, array: 64 } as const
const CQ = { head: 24, tail: 28, mask: 32, entries: 36, overflow: 40, flags: 44 } as const

export class SimulatedKernel implements RingKernel {
  /** Submissions that were consumed and not completed, oldest first. */
  readonly entries: SimulatedEntry[] = []
  /** What the next calls of `enter` answer instead of consuming: negative errnos, or a limit on entries consumed. */
  readonly enterAnswers: number[] = []
  readonly calls: { toSubmit: number; flags: number }[] = []
  /** Errnos that the next calls of `setup` answer with. */
  readonly setupAnswers: number[] = []
  /** Forces the completion ring to this size, to overflow it. */
  completionEntries: number | undefined
  setupFlags: number[] = []
  keptAlive = false
  stopped = false
  closed = false
  readonly unmapped: ArrayBuffer[] = []
  #rings = new ArrayBuffer(0)
  #sqes = new ArrayBuffer(0)
  #sqEntries = 0
  #cqEntries = 0
  #onReadable: () => void = () => {}
  #turns: (() => void)[] = []
  #pauses: (() => void)[] = []
  readonly #overflow: { userData: number; result: number }[] = []

  setup(entries: number, params: Uint8Array<ArrayBuffer>): number {
    const words = new Uint32Array(params.buffer)
    this.setupFlags.push(words[2] ?? 0)
    const answer = this.setupAnswers.shift()
    if (answer !== undefined) return answer
    this.#sqEntries = entries
    this.#cqEntries = this.completionEntries ?? words[1] ?? 0
    words.set([this.#sqEntries, this.#cqEntries])
    words[5] = IO_URING.feature.singleMmap | IO_URING.feature.nodrop
    const cqes = this.#cqesAt()
    words.set([SQ.head, SQ.tail, SQ.mask, SQ.entries, SQ.flags, SQ.dropped, SQ.array], 10)
    words.set([CQ.head, CQ.tail, CQ.mask, CQ.entries, CQ.overflow, cqes, CQ.flags], 20)
    this.#rings = new ArrayBuffer(cqes + this.#cqEntries * 16)
    this.#sqes = new ArrayBuffer(entries * 64)
    return 77
  }

  mapRing(_ringFd: number, bytes: number, offset: number): ArrayBuffer {
    const memory = offset === IO_URING.mapOffset.sqes ? this.#sqes : this.#rings
    if (bytes > memory.byteLength) throw new Error(`mapping of ${bytes} bytes over ${memory.byteLength}`)
    return memory
  }

  unmapRing(memory: ArrayBuffer): void {
    this.unmapped.push(memory)
  }

  enter(_ringFd: number, toSubmit: number, _minComplete: number, flags: number): number {
    this.calls.push({ toSubmit, flags })
    if ((flags & IO_URING.enter.getEvents) !== 0) this.#flushOverflow()
    const answer = this.enterAnswers.shift()
    if (answer !== undefined && answer < 0) return answer
    const words = new Int32Array(this.#rings)
    const count = Math.min(toSubmit, answer ?? toSubmit, (words[SQ.tail >> 2] ?? 0) - (words[SQ.head >> 2] ?? 0))
    for (let index = 0; index < count; index++) this.#consume(words)
    return count
  }

  watch(_fd: number, onReadable: () => void): RingWatch {
    this.#onReadable = onReadable
    return {
      keepAlive: on => void (this.keptAlive = on),
      stop: () => void (this.stopped = true)
    }
  }

  afterTurn(callback: () => void): void {
    this.#turns.push(callback)
  }

  afterPause(callback: () => void): void {
    this.#pauses.push(callback)
  }

  close(): void {
    this.closed = true
  }

  addressOf(): undefined {
    return undefined
  }

  mapPages(bytes: number): ArrayBuffer {
    return new ArrayBuffer(bytes)
  }

  /** Completes a consumed submission, the oldest by default, and tells the event loop. */
  complete(result: number, index = 0): void {
    const [entry] = this.entries.splice(index, 1)
    if (entry === undefined) throw new Error('nothing is in flight')
    this.#overflow.push({ userData: entry.userData, result })
    if (this.#overflow.length === 1) this.#flushOverflow()
    const words = new Int32Array(this.#rings)
    words[SQ.flags >> 2] = this.#overflow.length > 0 ? IO_URING.sqOverflowFlag : 0
    this.#onReadable()
  }

  /** Lets microtasks and ticks finish, then runs the turns that were asked for, pauses too. */
  async turn(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    const due = [...this.#turns.splice(0), ...this.#pauses.splice(0)]
    for (const callback of due) callback()
    await new Promise(resolve => setImmediate(resolve))
  }

  #cqesAt(): number {
    return SQ.array + this.#sqEntries * 4
  }

  #consume(words: Int32Array): void {
    const head = words[SQ.head >> 2] ?? 0
    const slot = words[(SQ.array >> 2) + (head & (this.#sqEntries - 1))] ?? 0
    const sqe = new DataView(this.#sqes, slot * 64, 64)
    this.entries.push({
      opcode: sqe.getUint8(0),
      fd: sqe.getInt32(4, true),
      position: Number(sqe.getBigUint64(8, true)),
      address: Number(sqe.getBigUint64(16, true)),
      length: sqe.getUint32(24, true),
      flags: sqe.getUint32(28, true),
      userData: Number(sqe.getBigUint64(32, true))
    })
    words[SQ.head >> 2] = (head + 1) | 0
  }

  /** Posts what fits into the completion ring; the rest stays in the backlog, as in a kernel with NODROP. */
  #flushOverflow(): void {
    const words = new Int32Array(this.#rings)
    for (;;) {
      const head = words[CQ.head >> 2] ?? 0
      const tail = words[CQ.tail >> 2] ?? 0
      if (((tail - head) | 0) >= this.#cqEntries) break
      const next = this.#overflow.shift()
      if (next === undefined) break
      const at = (this.#cqesAt() >> 2) + (tail & (this.#cqEntries - 1)) * 4
      words.set([next.userData, 0, next.result, 0], at)
      words[CQ.tail >> 2] = (tail + 1) | 0
    }
    words[SQ.flags >> 2] = this.#overflow.length > 0 ? IO_URING.sqOverflowFlag : 0
  }
}
