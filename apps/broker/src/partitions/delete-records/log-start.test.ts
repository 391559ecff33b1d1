import { StoreError } from '@milena/storage-engine'
import { describe, expect, it } from 'vitest'
import type { ReplicatedLog } from '../../replication/contract.ts'
import { LogStart } from './log-start.ts'

/** A group whose trims end when the test says so. */
class FakeGroup {
  readonly log = { startOffset: 0 }
  committedOffset = 0
  damageNoted = false
  /** How far each trim was asked to go. */
  readonly trims: number[] = []
  #end: (error?: Error) => void = () => undefined

  trim(offset: number): Promise<void> {
    this.trims.push(offset)
    return new Promise((resolve, reject) => {
      this.#end = error => {
        if (error !== undefined) return reject(error)
        this.log.startOffset = offset
        resolve()
      }
    })
  }

  async endTrim(error?: Error): Promise<void> {
    this.#end(error)
    await new Promise<void>(resolve => setImmediate(resolve))
  }

  noteDamage(): void {
    this.damageNoted = true
  }
}

function world(): { group: FakeGroup; start: LogStart } {
  const group = new FakeGroup()
  return { group, start: new LogStart(() => group as unknown as ReplicatedLog) }
}

describe('the start of a log', () => {
  it('moves once the replica knows that what is deleted was committed', async () => {
    const { group, start } = world()
    let reached = 0
    start.whenAt(7, () => reached++)
    start.moveTo(7)
    group.committedOffset = 6
    start.advanced()
    expect(group.trims).toEqual([])
    group.committedOffset = 8
    start.advanced()
    start.advanced()
    expect([group.trims, reached]).toEqual([[7], 0])
    await group.endTrim()
    expect(reached).toBe(1)
    start.whenAt(5, () => reached++)
    expect(reached).toBe(2)
  })

  it('goes on to where it is wanted meanwhile', async () => {
    const { group, start } = world()
    group.committedOffset = 10
    start.moveTo(3)
    start.moveTo(9)
    await group.endTrim()
    expect(group.trims).toEqual([3, 9])
  })

  it('tells nobody who has given up waiting, and moves no more after a recovery took the wish away', async () => {
    const { group, start } = world()
    start.moveTo(5)
    const cancel = start.whenAt(5, () => expect.fail('cancelled'))
    cancel()
    start.moveTo(0)
    group.committedOffset = 10
    start.advanced()
    expect(group.trims).toEqual([])
    start.moveTo(5)
    await group.endTrim()
  })

  it('does not try what failed again and again, and has damage repaired', async () => {
    const { group, start } = world()
    group.committedOffset = 10
    start.moveTo(5)
    await group.endTrim(new StoreError('CORRUPT', 'checksum'))
    start.advanced()
    expect([group.trims, group.damageNoted]).toEqual([[5], true])
    start.moveTo(6)
    expect(group.trims).toEqual([5, 6])
    await group.endTrim()
  })
})
