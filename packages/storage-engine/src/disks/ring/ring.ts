/**
 * An io_uring on Node's event loop: operations in, promises of results out.
 *
 *   submit ──► slot free? ──► entry in the submission ring ──(end of this tick)──► one io_uring_enter for all
 *                 └ no: waiting list                                                        │
 *   promise ◄──── afterTurn(reap) ◄── uv_poll: ring readable ◄── kernel completes ◄────────┘
 *
 * - Depth: at most `depth` operations are in the kernel; more wait here, in order. The completion ring holds twice as many,
 *   so it cannot overflow by our doing; if the kernel says that it did all the same, the backlog is flushed and reaped.
 * - Batching: whatever one callback of the event loop (and all its microtasks) submits goes down in one system call.
 * - The libuv callback only asks for `afterTurn` (setImmediate): no JavaScript turn ends behind it, so no promise would continue.
 * - An idle ring lets the process exit; one with operations in flight does not.
 * - Results are the kernel's: bytes, or the negative errno. Interruptions of `io_uring_enter` itself are handled here.
 */
import { DiskError } from '../../errors.ts'
import { SystemCallError } from '../system-error.ts'
import { ERRNO, IO_URING, type RingKernel, type RingWatch } from './kernel.ts'
import { mapRingMemory, type RingMemory } from './ring-memory.ts'

/** One operation as the kernel knows it. Addresses are numbers: user space ends at 2^47. */
export interface RingOperation {
  readonly opcode: number
  readonly fd: number
  /** Byte position in the file. */
  readonly position: number
  /** Address of the memory, or for `fallocate` the length. */
  readonly address: number
  readonly length: number
  readonly flags: number
}

interface Waiting {
  readonly operation: RingOperation
  readonly resolve: (result: number) => void
}

const TWO_32 = 0x1_0000_0000

export class Ring {
  readonly #kernel: RingKernel
  readonly #memory: RingMemory
  readonly #watch: RingWatch
  readonly #resolvers: (((result: number) => void) | undefined)[]
  readonly #freeSlots: number[]
  readonly #waiting: Waiting[] = []
  readonly #mask: { sq: number; cq: number }
  #waitingHead = 0
  #sqTail: number
  #unsubmitted = 0
  #inFlight = 0
  #flushScheduled = false
  #reapScheduled = false
  #failure: number | undefined
  #closing: Promise<void> | undefined
  #whenDrained: (() => void) | undefined

  /** `depth`: operations in the kernel at a time, a power of two. Throws `UNSUPPORTED` where io_uring is refused. */
  constructor(kernel: RingKernel, depth: number) {
    this.#kernel = kernel
    this.#memory = mapRingMemory(
      kernel,
      depth,
      errno =>
        new DiskError('UNSUPPORTED', '', 'io_uring is refused', { cause: new SystemCallError('io_uring_setup', errno) })
    )
    const { sqEntries, cqEntries, sq, sqTail, fd } = this.#memory
    this.#mask = { sq: sqEntries - 1, cq: cqEntries - 1 }
    this.#sqTail = Atomics.load(sq, sqTail)
    this.#resolvers = new Array<undefined>(sqEntries).fill(undefined)
    this.#freeSlots = Array.from({ length: sqEntries }, (_, slot) => sqEntries - 1 - slot)
    try {
      this.#watch = kernel.watch(fd, () => this.#scheduleReap())
    } catch (error) {
      this.#memory.release()
      throw error
    }
  }

  /** Operations in the kernel or on their way into it. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Operations that wait for a slot. */
  get waitingCount(): number {
    return this.#waiting.length - this.#waitingHead
  }

  /**
   * Resolves to the kernel's result (never rejects for an errno). The memory must stay valid and, for a write, unchanged
   * until then. Rejects with `CLOSED` after `close`.
   */
  submit(operation: RingOperation): Promise<number> {
    if (this.#closing !== undefined) return Promise.reject(new DiskError('CLOSED', '', 'the ring is closed'))
    return new Promise(resolve => {
      const slot = this.waitingCount === 0 ? this.#freeSlots.pop() : undefined
      if (slot === undefined) this.#waiting.push({ operation, resolve })
      else this.#enqueue(slot, operation, resolve)
    })
  }

  /** Waits for everything submitted, then frees the ring. */
  close(): Promise<void> {
    this.#closing ??= this.#drain().then(() => {
      this.#watch.stop()
      this.#memory.release()
    })
    return this.#closing
  }

  #enqueue(slot: number, operation: RingOperation, resolve: (result: number) => void): void {
    if (this.#failure !== undefined) {
      this.#freeSlots.push(slot)
      resolve(this.#failure)
      return
    }
    this.#resolvers[slot] = resolve
    this.#writeEntry(slot, operation)
    this.#unsubmitted += 1
    this.#inFlight += 1
    if (this.#inFlight === 1) this.#watch.keepAlive(true)
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    process.nextTick(() => this.#flush())
  }

  #writeEntry(slot: number, { opcode, fd, position, address, length, flags }: RingOperation): void {
    const { sqes } = this.#memory
    const at = (this.#sqTail & this.#mask.sq) * (IO_URING.sqeBytes >> 2)
    sqes[at] = opcode
    sqes[at + 1] = fd
    sqes[at + 2] = position >>> 0
    sqes[at + 3] = Math.floor(position / TWO_32)
    sqes[at + 4] = address >>> 0
    sqes[at + 5] = Math.floor(address / TWO_32)
    sqes[at + 6] = length
    sqes[at + 7] = flags
    sqes[at + 8] = slot
    sqes.fill(0, at + 9, at + 16)
    this.#sqTail = (this.#sqTail + 1) | 0
  }

  /** Hands everything queued to the kernel. */
  #flush(): void {
    this.#flushScheduled = false
    const { sq, sqTail, fd } = this.#memory
    Atomics.store(sq, sqTail, this.#sqTail)
    while (this.#unsubmitted > 0) {
      const consumed = this.#kernel.enter(fd, this.#unsubmitted, 0, 0)
      if (consumed > 0) this.#unsubmitted -= consumed
      else if (consumed !== -ERRNO.EINTR) {
        this.#postponeOrFail(-consumed)
        break
      }
    }
    if (this.#completionsWait()) this.#scheduleReap()
  }

  /** The kernel is short of memory or wants completions reaped first; anything else is the end of this ring. */
  #postponeOrFail(errno: number): void {
    if (errno === 0 || errno === ERRNO.EAGAIN || errno === ERRNO.EBUSY) {
      this.#flushScheduled = true
      if (this.#inFlight > this.#unsubmitted) this.#kernel.afterTurn(() => this.#flush())
      else this.#kernel.afterPause(() => this.#flush())
      return
    }
    this.#fail(-errno)
  }

  /** Answers what never reached the kernel, and everything after it, with the errno that broke the ring. */
  #fail(result: number): void {
    this.#failure = result
    const { sqes, sq, sqTail } = this.#memory
    for (let index = this.#unsubmitted; index > 0; index--) {
      const at = ((this.#sqTail - index) & this.#mask.sq) * (IO_URING.sqeBytes >> 2)
      this.#complete(sqes[at + 8] ?? 0, result)
    }
    this.#sqTail = (this.#sqTail - this.#unsubmitted) | 0
    this.#unsubmitted = 0
    Atomics.store(sq, sqTail, this.#sqTail)
    this.#admitWaiting()
    this.#settle()
  }

  #completionsWait(): boolean {
    const { cq, cqHead, cqTail } = this.#memory
    return Atomics.load(cq, cqHead) !== Atomics.load(cq, cqTail)
  }

  #scheduleReap(): void {
    if (this.#reapScheduled) return
    this.#reapScheduled = true
    this.#kernel.afterTurn(() => this.#reap())
  }

  #reap(): void {
    this.#reapScheduled = false
    if (this.#inFlight === 0) return
    this.#reapRing()
    const { sq, sqFlags, fd } = this.#memory
    if ((Atomics.load(sq, sqFlags) & IO_URING.sqOverflowFlag) !== 0) {
      this.#kernel.enter(fd, 0, 0, IO_URING.enter.getEvents)
      this.#reapRing()
    }
    this.#admitWaiting()
    this.#settle()
  }

  #reapRing(): void {
    const { cq, cqHead, cqTail, cqes } = this.#memory
    let head = Atomics.load(cq, cqHead)
    const tail = Atomics.load(cq, cqTail)
    for (; head !== tail; head = (head + 1) | 0) {
      const at = cqes + (head & this.#mask.cq) * (IO_URING.cqeBytes >> 2)
      this.#complete(cq[at] ?? 0, cq[at + 2] ?? 0)
    }
    Atomics.store(cq, cqHead, head)
  }

  #complete(slot: number, result: number): void {
    const resolve = this.#resolvers[slot]
    this.#resolvers[slot] = undefined
    this.#freeSlots.push(slot)
    this.#inFlight -= 1
    resolve?.(result)
  }

  #admitWaiting(): void {
    while (this.waitingCount > 0) {
      const slot = this.#freeSlots.pop()
      if (slot === undefined) return
      const next = this.#waiting[this.#waitingHead++]
      if (next !== undefined) this.#enqueue(slot, next.operation, next.resolve)
    }
    this.#waiting.length = 0
    this.#waitingHead = 0
  }

  #settle(): void {
    if (this.#inFlight > 0) return
    this.#watch.keepAlive(false)
    this.#whenDrained?.()
  }

  #drain(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => (this.#whenDrained = resolve))
  }
}
