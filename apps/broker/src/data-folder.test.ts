import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimDataFolder } from './data-folder.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'milena-data-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the data folder', () => {
  it('keeps the identity it was given', () => {
    const first = claimDataFolder(folder, { nodeId: 0, shardCount: 2 })
    expect(first.clusterId).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(claimDataFolder(folder, { nodeId: 0, shardCount: 2 })).toEqual(first)
  })

  it('may grow but not shrink, and belongs to one node', () => {
    const first = claimDataFolder(folder, { nodeId: 0, shardCount: 2 })
    expect(claimDataFolder(folder, { nodeId: 0, shardCount: 3 })).toEqual({ ...first, shardCount: 3 })
    expect(() => claimDataFolder(folder, { nodeId: 0, shardCount: 2 })).toThrow(/has 3 shards/)
    expect(() => claimDataFolder(folder, { nodeId: 1, shardCount: 3 })).toThrow(/node.id 0/)
  })

  it('refuses a damaged identity instead of making a new one', () => {
    writeFileSync(join(folder, 'node.json'), '{"version":1')
    expect(() => claimDataFolder(folder, { nodeId: 0, shardCount: 1 })).toThrow(/damaged/)
  })
})
