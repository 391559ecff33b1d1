/**
 * The two rings that a process shares with the kernel, and how both sides stay in step.
 *
 *   submission ring                                  completion ring
 *   ┌─────────────────────────────┐                  ┌─────────────────────────────┐
 *   │ head ◄─ kernel consumes      │                  │ head ◄─ we consume           │
 *   │ tail ◄─ we publish           │  io_uring_enter  │ tail ◄─ kernel publishes     │
 *   │ array[i] = i (set once)      │ ───────────────► │ cqes: user_data, res, flags  │
 *   └─────────────────────────────┘                  └─────────────────────────────┘
 *     sqes: 64 bytes each
 *
 * Why Atomics are right here. Heads and tails are 32-bit words in mapped memory, seen as an `Int32Array`. V8 compiles
 * `Atomics.load/store` to sequentially consistent machine accesses (`xchg` on x86-64, `ldar`/`stlr` on arm64) whether or not
 * the buffer is shared, and moves no other memory access across them. So an entry is wholly written before the tail that
 * publishes it (release), and a completion is read after the tail that announces it (acquire), which is all the kernel asks.
 * Without a polling kernel thread the submission side is read only inside our own `io_uring_enter`, a barrier by itself.
 */
import { IO_URING, type RingKernel } from './kernel.ts'

/** Words in `params` that the kernel fills: offsets of `io_sqring_offsets` and `io_cqring_offsets`. */
const WORD = { sqEntries: 0, cqEntries: 1, flags: 2, features: 5, sqOff: 10, cqOff: 20 } as const

export interface RingMemory {
  readonly fd: number
  readonly features: number
  /** Submission side: indexes into `sq`. */
  readonly sq: Int32Array<ArrayBuffer>
  readonly sqHead: number
  readonly sqTail: number
  readonly sqFlags: number
  readonly sqEntries: number
  readonly sqes: Uint32Array<ArrayBuffer>
  /** Completion side: indexes into `cq`. */
  readonly cq: Int32Array<ArrayBuffer>
  readonly cqHead: number
  readonly cqTail: number
  readonly cqEntries: number
  /** Index in `cq` of the first completion. */
  readonly cqes: number
  /** Unmaps everything and closes the ring. Nothing here may be touched afterwards. */
  release(): void
}

/** Makes a ring of `entries` submissions and maps it. Throws an `Error` that says what the kernel refused. */
export function mapRingMemory(kernel: RingKernel, entries: number, refusal: (errno: number) => Error): RingMemory {
  const params = new Uint32Array(new ArrayBuffer(IO_URING.paramsBytes))
  const fd = setUp(kernel, entries, params)
  if (fd < 0) throw refusal(-fd)
  const mapped: ArrayBuffer[] = []
  const release = (): void => {
    for (const memory of mapped.splice(0)) kernel.unmapRing(memory)
    kernel.close(fd)
  }
  try {
    const map = (bytes: number, offset: number): ArrayBuffer => {
      const memory = kernel.mapRing(fd, bytes, offset)
      mapped.push(memory)
      return memory
    }
    return { ...mapRings(map, params), fd, release }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * COOP_TASKRUN (Linux 5.19): completions wait until the thread is in the kernel anyway instead of interrupting JavaScript.
 * Older kernels answer EINVAL and get the plain ring.
 */
function setUp(kernel: RingKernel, entries: number, params: Uint32Array<ArrayBuffer>): number {
  const { clamp, cqSize, coopTaskrun } = IO_URING.setup
  let fd = -1
  for (const flags of [clamp | cqSize | coopTaskrun, clamp | cqSize]) {
    params.fill(0)
    params[WORD.flags] = flags
    params[WORD.cqEntries] = entries * 2
    fd = kernel.setup(entries, new Uint8Array(params.buffer))
    if (fd >= 0) return fd
  }
  return fd
}

function mapRings(
  map: (bytes: number, offset: number) => ArrayBuffer,
  params: Uint32Array
): Omit<RingMemory, 'fd' | 'release'> {
  const word = (index: number): number => params[index] ?? 0
  const sqOff = (index: number): number => word(WORD.sqOff + index)
  const cqOff = (index: number): number => word(WORD.cqOff + index)
  const sqEntries = word(WORD.sqEntries)
  const cqEntries = word(WORD.cqEntries)
  const features = word(WORD.features)
  let sqBytes = sqOff(6) + sqEntries * 4
  let cqBytes = cqOff(5) + cqEntries * IO_URING.cqeBytes
  const single = (features & IO_URING.feature.singleMmap) !== 0
  if (single) sqBytes = cqBytes = Math.max(sqBytes, cqBytes)
  const sqMemory = map(sqBytes, IO_URING.mapOffset.sqRing)
  const cqMemory = single ? sqMemory : map(cqBytes, IO_URING.mapOffset.cqRing)
  const sqeMemory = map(sqEntries * IO_URING.sqeBytes, IO_URING.mapOffset.sqes)
  const sq = new Int32Array(sqMemory, 0, sqBytes >> 2)
  for (let index = 0; index < sqEntries; index++) sq[(sqOff(6) >> 2) + index] = index
  return {
    features,
    sq,
    sqHead: sqOff(0) >> 2,
    sqTail: sqOff(1) >> 2,
    sqFlags: sqOff(4) >> 2,
    sqEntries,
    sqes: new Uint32Array(sqeMemory),
    cq: new Int32Array(cqMemory, 0, cqBytes >> 2),
    cqHead: cqOff(0) >> 2,
    cqTail: cqOff(1) >> 2,
    cqEntries,
    cqes: cqOff(5) >> 2
  }
}
