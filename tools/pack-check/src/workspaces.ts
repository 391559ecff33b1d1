/**
 * The packages that this repository publishes, as their package.json files tell: every workspace that is not private. The order
 * of dependencies among them decides which tarballs a package must be installed with, since the registry need not have them.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A workspace that goes to the registry. */
export interface Publishable {
  readonly name: string
  readonly version: string
  /** Absolute path of its folder. */
  readonly folder: string
  /** Keys of `exports` that lead to code, e.g. `.` and `./testing`. */
  readonly entries: readonly string[]
  /** Names of the commands that it installs. */
  readonly commands: readonly string[]
  /** Names of the other publishable packages that it depends on, directly. */
  readonly siblings: readonly string[]
  /** Names and ranges that a user must install beside it. */
  readonly peers: Readonly<Record<string, string>>
  /** Names and ranges of what only its development needs; its README's example may use some of it. */
  readonly tools: Readonly<Record<string, string>>
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly workspaces?: readonly string[]
  readonly exports?: Record<string, unknown>
  readonly bin?: Record<string, string>
  readonly dependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
}

const readManifest = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest

/** All publishable packages below `root`, sorted by name. Throws when a sibling is asked for in a version that is not here. */
export function findPublishable(root: string): Publishable[] {
  const patterns = (readManifest(root).workspaces ?? []).map(pattern => `${pattern}/package.json`)
  const folders = globSync(patterns, { cwd: root, exclude: path => path.includes('node_modules') })
    .map(path => join(root, dirname(path)))
    .sort()
  const manifests = folders
    .map(folder => ({ folder, manifest: readManifest(folder) }))
    .filter(it => !it.manifest.private)
  const versions = new Map(manifests.map(({ manifest }) => [manifest.name, manifest.version]))
  return manifests.map(({ folder, manifest }) => {
    const siblings = Object.entries(manifest.dependencies ?? {}).filter(([name]) => versions.has(name))
    for (const [name, range] of siblings) {
      if (range !== versions.get(name))
        throw new Error(`${manifest.name} wants ${name} ${range}, here is ${versions.get(name)}`)
    }
    return {
      name: manifest.name,
      version: manifest.version,
      folder,
      entries: Object.keys(manifest.exports ?? {}).filter(key => !key.endsWith('.json')),
      commands: Object.keys(manifest.bin ?? {}),
      siblings: siblings.map(([name]) => name),
      peers: manifest.peerDependencies ?? {},
      tools: manifest.devDependencies ?? {}
    }
  })
}

/** `name` and everything of ours below it, each once. */
export function withSiblings(name: string, all: readonly Publishable[]): string[] {
  const seen = new Set<string>()
  const visit = (next: string) => {
    if (seen.has(next)) return
    seen.add(next)
    for (const sibling of all.find(it => it.name === next)?.siblings ?? []) visit(sibling)
  }
  visit(name)
  return [...seen]
}
