import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimDataFolder, readIdentity, saveMembership, type Membership } from './data-folder.ts'

let folder: string
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'milena-data-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const membership: Membership = { clusterId: 'cluster', nodeId: 0, founders: [], nodes: [] }

describe('the data folder', () => {
  it('keeps the instance it was given, and its place in a cluster', () => {
    const first = claimDataFolder(folder, { nodeId: undefined, shardCount: 2 })
    expect(first.instance).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/)
    expect(first.membership).toBeUndefined()
    expect(saveMembership(folder, membership)).toEqual({ ...first, membership })
    expect(claimDataFolder(folder, { nodeId: 0, shardCount: 2 })).toEqual({ ...first, membership })
    expect(readIdentity(folder)).toEqual({ ...first, membership })
  })

  it('may grow but not shrink, and belongs to one node', () => {
    const first = claimDataFolder(folder, { nodeId: undefined, shardCount: 2 })
    saveMembership(folder, membership)
    expect(claimDataFolder(folder, { nodeId: 0, shardCount: 3 })).toEqual({ ...first, membership, shardCount: 3 })
    expect(() => claimDataFolder(folder, { nodeId: 0, shardCount: 2 })).toThrow(/has 3 shards/)
    expect(() => claimDataFolder(folder, { nodeId: 1, shardCount: 3 })).toThrow(/node.id 0/)
  })

  it('refuses a damaged identity instead of making a new one', () => {
    writeFileSync(join(folder, 'node.json'), '{"version":2')
    expect(() => claimDataFolder(folder, { nodeId: 0, shardCount: 1 })).toThrow(/damaged/)
  })
})
