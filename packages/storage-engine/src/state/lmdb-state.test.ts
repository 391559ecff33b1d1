import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StateBackend } from '../store-options.ts'
import { CheckedState } from './checked-state.ts'
import { openLmdbState } from './lmdb-state.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('the state backend on LMDB', () => {
  let folder: string
  let open: StateBackend | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'milena-state-'))
  })

  afterEach(async () => {
    await open?.close()
    open = undefined
    rmSync(folder, { recursive: true, force: true })
  })

  const path = () => join(folder, 'state')

  async function fill(): Promise<void> {
    const backend = await openLmdbState({ path: path() })
    for (let round = 0; round < 5; round++) {
      const changes = new Map<string, Uint8Array | undefined>()
      for (let key = 0; key < 100; key++) changes.set(`k/${key}`, new Uint8Array(200).fill(round))
      await backend.commit(changes)
    }
    await backend.close()
  }

  it('keeps what was committed across a reopening, removals included, and lists keys by prefix in order', async () => {
    open = await openLmdbState({ path: path() })
    await open.commit(
      new Map([
        ['a/1', bytes('one')],
        ['a/2', bytes('two')],
        ['b/1', bytes('other')]
      ])
    )
    await open.commit(
      new Map<string, Uint8Array | undefined>([
        ['a/1', undefined],
        ['a/0', bytes('zero')]
      ])
    )
    await open.close()
    open = await openLmdbState({ path: path() })
    expect(open.keys('a/')).toEqual(['a/0', 'a/2'])
    expect(open.get('a/1')).toBeUndefined()
    expect(open.get('a/2')).toEqual(bytes('two'))
  })

  it('sets a truncated data file aside instead of mapping it', async () => {
    await fill()
    truncateSync(join(path(), 'data.mdb'), 16384)
    const reasons: string[] = []
    open = await openLmdbState({ path: path(), onSetAside: reason => reasons.push(reason) })
    expect(reasons).toHaveLength(1)
    expect(open.keys('')).toEqual([])
    expect(readdirSync(folder).sort()).toEqual(['state', 'state.damaged-1'])
  })

  it('sets a data file with a zeroed meta page aside', async () => {
    await fill()
    const file = join(path(), 'data.mdb')
    writeFileSync(file, readFileSync(file).fill(0, 0, 4096))
    const reasons: string[] = []
    open = await openLmdbState({ path: path(), onSetAside: reason => reasons.push(reason) })
    expect(reasons[0]).toContain('meta page 0')
  })

  it('sets an empty data file aside', async () => {
    await fill()
    truncateSync(join(path(), 'data.mdb'), 0)
    const reasons: string[] = []
    open = await openLmdbState({ path: path(), onSetAside: reason => reasons.push(reason) })
    expect(reasons).toHaveLength(1)
  })

  it('accepts the file of a database that was never closed', async () => {
    await fill()
    open = await openLmdbState({ path: path() })
    await open.commit(new Map([['late', bytes('x')]]))
    const copy = join(folder, 'copy')
    const other = await openLmdbState({ path: copy })
    await other.close()
    copyFileSync(join(path(), 'data.mdb'), join(copy, 'data.mdb'))
    const reopened = await openLmdbState({ path: copy, onSetAside: reason => expect.fail(reason) })
    expect(reopened.get('late')).toEqual(bytes('x'))
    await reopened.close()
  })

  it('never returns a wrong value for flipped bits below the checksums', async () => {
    open = await openLmdbState({ path: path() })
    const state = new CheckedState(open, 'host/', () => {})
    const changes = new Map<string, Uint8Array>()
    for (let key = 0; key < 2000; key++) changes.set(`vote/${key}`, bytes(`value-${key}-${'x'.repeat(40)}`))
    await state.putAll(changes)
    await open.close()
    const file = join(path(), 'data.mdb')
    const image = readFileSync(file)
    let hits = 0
    for (let key = 0; key < 2000; key += 40) {
      const at = image.indexOf(`value-${key}-`)
      image[at + 2] = image[at + 2]! ^ 4
      hits++
    }
    writeFileSync(file, image)
    open = await openLmdbState({ path: path() })
    const damaged = new CheckedState(open, 'host/', () => {})
    expect(hits).toBe(50)
    for (const [key, value] of changes) expect(damaged.get(key)).toEqual(value)
  })
})
