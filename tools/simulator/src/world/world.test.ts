import { describe, expect, test } from 'vitest'
import { RandomStreams } from './random.ts'
import { Swarm } from './swarm.ts'
import { World } from './world.ts'

/** A little world in which each event draws a delay and asks for more events. */
function babble(seed: number): World {
  const world = new World({ seed })
  const random = world.random.of('babble')
  const speak = (depth: number): void => {
    world.trace.note('speak', depth)
    if (depth === 0) return
    for (let child = 0; child < 2; child++) world.schedule(random.exponential(10), () => speak(depth - 1))
  }
  speak(8)
  return world
}

describe('a world', () => {
  test('runs events in the order of their times, those of the same time as they were asked for', () => {
    const world = new World({ seed: 1 })
    const random = world.random.of('test')
    const ran: { timeMs: number; order: number }[] = []
    for (let order = 0; order < 2000; order++) {
      const timeMs = random.below(50)
      world.schedule(timeMs, () => ran.push({ timeMs: world.nowMs, order }))
    }
    world.run(100)
    expect(ran).toHaveLength(2000)
    const sorted = ran.slice().sort((left, right) => left.timeMs - right.timeMs || left.order - right.order)
    expect(ran).toEqual(sorted)
    expect(world.nowMs).toBe(100)
  })

  test('leaves the same trace for the same seed and another for another', () => {
    const hashes = [7, 7, 8].map(seed => {
      const world = babble(seed)
      world.run(1000)
      return world.trace.hash
    })
    expect(hashes[0]).toBe(hashes[1])
    expect(hashes[0]).not.toBe(hashes[2])
  })

  test('does not run what was called off', () => {
    const world = new World({ seed: 1 })
    let count = 0
    const callOff = world.after(5, () => count++)
    world.after(6, () => count++)
    callOff()
    callOff()
    world.run(10)
    expect(count).toBe(1)
  })

  test('finishes the promise jobs of an event before the next one', async () => {
    const world = new World({ seed: 1 })
    const seen: string[] = []
    for (let event = 0; event < 700; event++) {
      world.schedule(1, () => {
        void (async () => {
          for (let step = 0; step < 5; step++) await Promise.resolve()
          seen.push(`jobs of ${event}`)
        })()
        seen.push(`event ${event}`)
      })
    }
    await world.runWithPromises(10)
    expect(seen).toEqual(Array.from({ length: 700 }, (_, event) => [`event ${event}`, `jobs of ${event}`]).flat())
  })

  test('ends with what an event throws', async () => {
    for (const run of [
      (world: World) => Promise.resolve().then(() => world.run(10)),
      (world: World) => world.runWithPromises(10)
    ]) {
      const world = new World({ seed: 1 })
      world.schedule(3, () => world.violated('some-property', 'it does not hold'))
      await expect(run(world)).rejects.toThrow('some-property: it does not hold (at 3.000 ms)')
    }
  })
})

describe('random streams', () => {
  test('do not depend on each other', () => {
    const alone = new RandomStreams(5).of('disk')
    const streams = new RandomStreams(5)
    const other = streams.of('network')
    const together = streams.of('disk')
    const draws = Array.from({ length: 100 }, () => {
      other.uint32()
      return together.uint32()
    })
    expect(draws).toEqual(Array.from({ length: 100 }, () => alone.uint32()))
  })

  test('draw every value of a range about equally often', () => {
    const random = new RandomStreams(3).of('dice')
    const counts = new Array<number>(6).fill(0)
    for (let roll = 0; roll < 60_000; roll++) {
      const face = random.below(6)
      counts[face] = (counts[face] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })
})

describe('a swarm', () => {
  test('leaves some kinds of fault out in some periods and strikes all of them in the end', () => {
    const world = new World({ seed: 11 })
    const kinds = Array.from({ length: 8 }, (_, number) => ({
      name: `kind ${number}`,
      intervalMs: [500, 5000] as const,
      strike: () => true
    }))
    const swarm = new Swarm(world, kinds)
    swarm.start()
    world.run(15_000)
    expect([...swarm.counts.values()].some(count => count === 0)).toBe(true)
    world.run(600_000)
    expect([...swarm.counts.values()].every(count => count > 0)).toBe(true)
    swarm.stop()
    const before = [...swarm.counts.values()]
    world.run(900_000)
    expect([...swarm.counts.values()]).toEqual(before)
  })
})
