import { describe, expect, it } from 'vitest'
import { ERRNO, IO_URING } from './kernel.ts'
import { Ring, type RingOperation } from './ring.ts'
import { SimulatedKernel } from './simulated-kernel.ts'

const EPERM = 1
const ENXIO = 6

function write(position: number): RingOperation {
  return { opcode: IO_URING.opcode.write, fd: 3, position, address: 0x7fff_1234_5000, length: 4096, flags: 0 }
}

/** Submits and records results by the order of completion. */
function submitter(ring: Ring): { submit: (position: number) => void; results: [number, number][] } {
  const results: [number, number][] = []
  const submit = (position: number): void =>
    void ring.submit(write(position)).then(result => results.push([position, result]))
  return { submit, results }
}

describe('Ring', () => {
  it('hands entries to the kernel exactly as they were given, beyond 32 bits too', async () => {
    const kernel = new SimulatedKernel()
    const ring = new Ring(kernel, 4)
    void ring.submit({
      opcode: 17,
      fd: 9,
      position: 2 ** 33 + 5,
      address: 2 ** 46 + 4096,
      length: 4_000_000_000,
      flags: 7
    })
    await kernel.turn()
    const { userData: _, ...entry } = kernel.entries[0] ?? { userData: 0 }
    expect(entry).toEqual({
      opcode: 17,
      fd: 9,
      position: 2 ** 33 + 5,
      address: 2 ** 46 + 4096,
      length: 4_000_000_000,
      flags: 7
    })
  })

  it('submits all that one turn asks for in one system call', async () => {
    const kernel = new SimulatedKernel()
    const { submit } = submitter(new Ring(kernel, 8))
    for (let position = 0; position < 5; position++) submit(position)
    await Promise.resolve().then(() => submit(5))
    expect(kernel.calls).toEqual([])
    await kernel.turn()
    expect(kernel.calls).toEqual([{ toSubmit: 6, flags: 0 }])
  })

  it('gives each result to its operation, whatever the order of completion', async () => {
    const kernel = new SimulatedKernel()
    const { submit, results } = submitter(new Ring(kernel, 8))
    for (let position = 0; position < 4; position++) submit(position)
    await kernel.turn()
    for (const index of [2, 0, 1, 0]) kernel.complete(1000 + (kernel.entries[index]?.position ?? 0), index)
    await kernel.turn()
    expect(results).toEqual([2, 0, 3, 1].map(position => [position, 1000 + position]))
  })

  it('keeps at most its depth in the kernel and the rest in line, in order, over many rounds of the rings', async () => {
    const kernel = new SimulatedKernel()
    const ring = new Ring(kernel, 4)
    const { submit, results } = submitter(ring)
    for (let position = 0; position < 1000; position++) submit(position)
    for (let round = 0; results.length < 1000 && round < 2000; round++) {
      await kernel.turn()
      expect(kernel.entries.length).toBeLessThanOrEqual(4)
      while (kernel.entries.length > 0) kernel.complete(1)
    }
    expect(results.map(([position]) => position)).toEqual(Array.from({ length: 1000 }, (_, index) => index))
    expect([ring.inFlight, ring.waitingCount]).toEqual([0, 0])
  })

  it('submits again what the kernel did not take, was interrupted in, or had no memory for', async () => {
    const kernel = new SimulatedKernel()
    const { submit, results } = submitter(new Ring(kernel, 8))
    kernel.enterAnswers.push(-ERRNO.EINTR, 2, -ERRNO.EAGAIN, -ERRNO.EBUSY, 0)
    for (let position = 0; position < 5; position++) submit(position)
    for (let round = 0; round < 6; round++) await kernel.turn()
    expect(kernel.calls.map(({ toSubmit }) => toSubmit)).toEqual([5, 5, 3, 3, 3, 3])
    while (kernel.entries.length > 0) kernel.complete(0)
    await kernel.turn()
    expect(results.map(([position]) => position)).toEqual([0, 1, 2, 3, 4])
  })

  it('answers everything that did not reach a broken ring with its errno, at once and later', async () => {
    const kernel = new SimulatedKernel()
    const ring = new Ring(kernel, 4)
    const { submit, results } = submitter(ring)
    submit(0)
    await kernel.turn()
    kernel.enterAnswers.push(-ENXIO)
    for (let position = 1; position < 9; position++) submit(position)
    await kernel.turn()
    expect(results).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map(position => [position, -ENXIO]))
    submit(9)
    kernel.complete(5)
    await kernel.turn()
    expect(results.slice(8)).toEqual([
      [9, -ENXIO],
      [0, 5]
    ])
    await ring.close()
  })

  it('reaps what overflowed the completion ring', async () => {
    const kernel = new SimulatedKernel()
    kernel.completionEntries = 2
    const { submit, results } = submitter(new Ring(kernel, 8))
    for (let position = 0; position < 4; position++) submit(position)
    await kernel.turn()
    for (let index = 0; index < 4; index++) kernel.complete(index)
    await kernel.turn()
    expect(kernel.calls.at(-1)?.flags).toBe(IO_URING.enter.getEvents)
    expect(results.map(([, result]) => result)).toEqual([0, 1, 2, 3])
  })

  it('keeps the process alive only while operations are in flight', async () => {
    const kernel = new SimulatedKernel()
    const { submit } = submitter(new Ring(kernel, 4))
    expect(kernel.keptAlive).toBe(false)
    submit(0)
    submit(1)
    expect(kernel.keptAlive).toBe(true)
    await kernel.turn()
    kernel.complete(0)
    await kernel.turn()
    expect(kernel.keptAlive).toBe(true)
    kernel.complete(0)
    await kernel.turn()
    expect(kernel.keptAlive).toBe(false)
  })

  it('closes after what is in flight and in line, and refuses what comes later', async () => {
    const kernel = new SimulatedKernel()
    const ring = new Ring(kernel, 2)
    const { submit, results } = submitter(ring)
    for (let position = 0; position < 3; position++) submit(position)
    const closing = ring.close()
    await expect(ring.submit(write(9))).rejects.toMatchObject({ code: 'CLOSED' })
    for (let round = 0; round < 3; round++) {
      await kernel.turn()
      expect(kernel.closed).toBe(results.length === 3)
      while (kernel.entries.length > 0) kernel.complete(0)
    }
    await closing
    expect([results.length, kernel.stopped, kernel.closed, kernel.unmapped.length]).toEqual([3, true, true, 2])
  })

  it('does without cooperative task running where the kernel does not know it', () => {
    const kernel = new SimulatedKernel()
    kernel.setupAnswers.push(-ERRNO.EINVAL)
    new Ring(kernel, 4)
    const { coopTaskrun } = IO_URING.setup
    expect(kernel.setupFlags.map(flags => (flags & coopTaskrun) !== 0)).toEqual([true, false])
  })

  it('says UNSUPPORTED, with the errno as the cause, where io_uring is refused', () => {
    const kernel = new SimulatedKernel()
    kernel.setupAnswers.push(-EPERM, -EPERM)
    expect(() => new Ring(kernel, 4)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', cause: expect.objectContaining({ code: 'EPERM' }) })
    )
  })

  it('closes the descriptor when its memory cannot be mapped', () => {
    const kernel = new SimulatedKernel()
    kernel.mapRing = () => {
      throw new Error('mmap: ENOMEM')
    }
    expect(() => new Ring(kernel, 4)).toThrow('mmap: ENOMEM')
    expect(kernel.closed).toBe(true)
  })
})
