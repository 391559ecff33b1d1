/**
 * The data folder of a node and the identity it was given.
 *
 *   data/
 *     node.json      cluster id, node id, shard count: written once, synced, checked at every start
 *     shard-0/ ...   one store per shard: nobody else touches it
 *
 * Real implementation of a port: reads and writes files.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from './settings/parse.ts'

export interface NodeIdentity {
  readonly version: 1
  /** Kafka's textual form: 22 characters of base64url. */
  readonly clusterId: string
  readonly nodeId: number
  readonly shardCount: number
}

const FILE = 'node.json'

/** Folder of a shard's store. */
export const shardFolder = (dataFolder: string, shard: number): string => join(dataFolder, `shard-${shard}`)

/** A fresh identity; `clusterId` is random. */
export function newIdentity(nodeId: number, shardCount: number): NodeIdentity {
  const clusterId = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
  return { version: 1, clusterId, nodeId, shardCount }
}

/**
 * Reads the identity of a data folder, or gives it one. More shards than before are welcome; fewer, or another node id, are
 * refused with a `SettingsError`: the partitions of the missing shards would be gone.
 */
export function claimDataFolder(dataFolder: string, wanted: { nodeId: number; shardCount: number }): NodeIdentity {
  mkdirSync(dataFolder, { recursive: true })
  const known = readIdentity(dataFolder)
  if (known === undefined) return writeIdentity(dataFolder, newIdentity(wanted.nodeId, wanted.shardCount))
  if (known.nodeId !== wanted.nodeId) {
    throw new SettingsError([
      `The data folder ${dataFolder} belongs to node.id ${known.nodeId}, this start has node.id ${wanted.nodeId}`
    ])
  }
  if (known.shardCount > wanted.shardCount) {
    throw new SettingsError([
      `The data folder ${dataFolder} has ${known.shardCount} shards, this start has ${wanted.shardCount}: set num.shards (--shards) to ${known.shardCount} or more`
    ])
  }
  if (known.shardCount === wanted.shardCount) return known
  return writeIdentity(dataFolder, { ...known, shardCount: wanted.shardCount })
}

/** The identity in a data folder, if it has one. */
export function readIdentity(dataFolder: string): NodeIdentity | undefined {
  let text: string
  try {
    text = readFileSync(join(dataFolder, FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const identity = parseIdentity(text)
  if (identity === undefined) throw new SettingsError([`${join(dataFolder, FILE)} is damaged or of a newer version`])
  return identity
}

function parseIdentity(text: string): NodeIdentity | undefined {
  try {
    const identity = JSON.parse(text) as Partial<NodeIdentity>
    const whole =
      identity.version === 1 &&
      typeof identity.clusterId === 'string' &&
      Number.isInteger(identity.nodeId) &&
      Number.isInteger(identity.shardCount)
    return whole ? (identity as NodeIdentity) : undefined
  } catch {
    return undefined
  }
}

/** Written beside, synced, renamed, folder synced: after a power cut there is the old file or the new one. */
function writeIdentity(dataFolder: string, identity: NodeIdentity): NodeIdentity {
  const path = join(dataFolder, FILE)
  const file = openSync(`${path}.new`, 'w', 0o644)
  try {
    writeSync(file, `${JSON.stringify(identity)}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
  const folder = openSync(dataFolder, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
  return identity
}
