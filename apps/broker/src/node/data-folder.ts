/**
 * The data folder of a node and the identity it was given.
 *
 *   data/
 *     node.json      instance, shard count, and, once it has one, its place in a cluster; synced, checked at every start
 *     shard-0/ ...   one store per shard: nobody else touches it
 *
 * The *instance* is a random id that the folder gets before anything else happens: whoever has another one under the same node
 * id is another machine, or lost its disk.
 *
 * Real implementation of a port: reads and writes files.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeDescription } from '../controller/metadata/cluster-state.ts'
import { SettingsError } from '../settings/parse.ts'

/** A node's place in a cluster. */
export interface Membership {
  /** Kafka's textual form: 22 characters of base64url. */
  readonly clusterId: string
  readonly nodeId: number
  /** Who formed the cluster: the voters that the controller's group began with. */
  readonly founders: readonly NodeDescription[]
  /** The members that were known last, this node among them: where to find the cluster after a restart. */
  readonly nodes: readonly NodeDescription[]
}

/** What a data folder knows of itself. */
export interface FolderIdentity {
  /** 22 characters of base64url. */
  readonly instance: string
  readonly shardCount: number
  readonly membership: Membership | undefined
}

/** The identity of a node that is a member. */
export interface NodeIdentity extends Membership {
  readonly instance: string
  readonly shardCount: number
}

const FILE = 'node.json'
const VERSION = 2

/** Folder of a shard's store. */
export const shardFolder = (dataFolder: string, shard: number): string => join(dataFolder, `shard-${shard}`)

/** A random id in Kafka's textual form. */
export function newUuid(): string {
  for (;;) {
    const id = Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url')
    if (!id.startsWith('-')) return id // tools would take it for an option
  }
}

/**
 * Opens a data folder, making it when it is not there. More shards than before are welcome; fewer are refused with a
 * `SettingsError`: the partitions of the missing shards would be gone. So is a node id other than the one it has.
 */
export function claimDataFolder(
  dataFolder: string,
  wanted: { readonly nodeId: number | undefined; readonly shardCount: number }
): FolderIdentity {
  mkdirSync(dataFolder, { recursive: true })
  const known = readIdentity(dataFolder)
  if (known === undefined) {
    return writeIdentity(dataFolder, { instance: newUuid(), shardCount: wanted.shardCount, membership: undefined })
  }
  const { membership } = known
  if (membership !== undefined && wanted.nodeId !== undefined && membership.nodeId !== wanted.nodeId) {
    throw new SettingsError([
      `The data folder ${dataFolder} belongs to node.id ${membership.nodeId}, this start has node.id ${wanted.nodeId}`
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

/** Records the place in a cluster; durable when it returns. */
export function saveMembership(dataFolder: string, { clusterId, nodeId, founders, nodes }: Membership): FolderIdentity {
  const known = readIdentity(dataFolder)
  if (known === undefined) throw new SettingsError([`The data folder ${dataFolder} has lost its ${FILE}`])
  return writeIdentity(dataFolder, { ...known, membership: { clusterId, nodeId, founders, nodes } })
}

/** The identity in a data folder, if it has one. */
export function readIdentity(dataFolder: string): FolderIdentity | undefined {
  let text: string
  try {
    text = readFileSync(join(dataFolder, FILE), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const identity = parseIdentity(text)
  if (identity === undefined) throw new SettingsError([`${join(dataFolder, FILE)} is damaged or of another version`])
  return identity
}

function parseIdentity(text: string): FolderIdentity | undefined {
  try {
    const file = JSON.parse(text) as Partial<FolderIdentity> & { version?: number }
    const { version, instance, shardCount, membership } = file
    if (version !== VERSION || typeof instance !== 'string' || !Number.isInteger(shardCount)) return undefined
    if (membership !== undefined && !isMembership(membership)) return undefined
    return { instance, shardCount: shardCount as number, membership }
  } catch {
    return undefined
  }
}

function isMembership(membership: Partial<Membership>): boolean {
  const { clusterId, nodeId, founders, nodes } = membership
  return typeof clusterId === 'string' && Number.isInteger(nodeId) && Array.isArray(founders) && Array.isArray(nodes)
}

/** Written beside, synced, renamed, folder synced: after a power cut there is the old file or the new one. */
function writeIdentity(dataFolder: string, identity: FolderIdentity): FolderIdentity {
  const path = join(dataFolder, FILE)
  const file = openSync(`${path}.new`, 'w', 0o644)
  try {
    writeSync(file, `${JSON.stringify({ version: VERSION, ...identity })}\n`)
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
