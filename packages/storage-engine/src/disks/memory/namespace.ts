/**
 * The folders of the simulated disk: names now, names that a power cut would leave, and the operations in between.
 *
 * Every create, link, rename and removal is one operation that changes one or two entries at once. It is visible when it is issued,
 * durable after `sync` of a folder that it touches; until then a power cut keeps or drops each by itself, so that a later
 * rename may survive where an earlier one did not.
 */
import { Inode, type FateOf } from './inode.ts'
import type { SeededRandom } from '../seeded-random.ts'

/** What a name stands for. */
export type Node = Inode | Directory

export class Directory {
  readonly entries = new Map<string, Node>()
  /** Durable entries, with the order of the operation that wrote each (also for names that were removed). */
  readonly stable = new Map<string, Node>()
  readonly stableOrders = new Map<string, number>()
}

interface Change {
  readonly directory: Directory
  readonly name: string
  readonly node: Node | undefined
}

interface Operation {
  readonly order: number
  readonly changes: readonly Change[]
}

const namesByPath = new Map<string, readonly string[]>()

/** Paths whose names are remembered at once. */
const REMEMBERED_PATHS_MAX = 10_000

/** Splits a path into names; `.`, empty parts and leading slashes vanish. */
export function namesOf(path: string): readonly string[] {
  let names = namesByPath.get(path)
  if (names === undefined) {
    names = splitPath(path)
    if (namesByPath.size >= REMEMBERED_PATHS_MAX) namesByPath.clear()
    namesByPath.set(path, names)
  }
  return names
}

function splitPath(path: string): readonly string[] {
  return path.split('/').filter(name => name !== '' && name !== '.')
}

export class Namespace {
  readonly root = new Directory()
  #pending: Operation[] = []
  #order = 0

  find(path: string): Node | undefined {
    let node: Node | undefined = this.root
    for (const name of namesOf(path)) {
      if (!(node instanceof Directory)) return undefined
      node = node.entries.get(name)
    }
    return node
  }

  /** The folder that holds the last name of `path`; undefined when it is missing. */
  parent(path: string): { directory: Directory; name: string } | undefined {
    const names = namesOf(path)
    const name = names.at(-1)
    const directory = this.find(names.slice(0, -1).join('/'))
    return name !== undefined && directory instanceof Directory ? { directory, name } : undefined
  }

  /** Changes entries at once, visible now. `durable`: also for a power cut. */
  change(changes: readonly Change[], durable = false): void {
    this.#order += 1
    const operation = { order: this.#order, changes }
    for (const { directory, name, node } of changes) {
      if (node === undefined) directory.entries.delete(name)
      else directory.entries.set(name, node)
    }
    if (durable) harden(operation)
    else this.#pending.push(operation)
  }

  /** What `sync` would cover if it were issued now. */
  beginSync(): number {
    return this.#order
  }

  /** Makes all operations up to `order` that touch this folder durable. */
  completeSync(directory: Directory, order: number): void {
    const covers = (operation: Operation): boolean =>
      operation.order <= order && operation.changes.some(change => change.directory === directory)
    for (const operation of this.#pending) if (covers(operation)) harden(operation)
    this.#pending = this.#pending.filter(operation => !covers(operation))
  }

  /** The folders as a power cut leaves them. Files appear as their own survivors. */
  survivor(fateOf: FateOf, random: SeededRandom): Namespace {
    const survivors = new Map<Node, Node>()
    const copy = new Namespace()
    survivors.set(this.root, copy.root)
    const kept = this.#pending.filter(() => fateOf('metadata') === 'kept')
    const copyOf = (node: Node): Node => {
      let survivor = survivors.get(node)
      if (survivor === undefined) {
        survivor = node instanceof Inode ? node.survivor(fateOf, random) : new Directory()
        survivors.set(node, survivor)
        if (node instanceof Directory && survivor instanceof Directory) copyEntries(node, survivor)
      }
      return survivor
    }
    const copyEntries = (source: Directory, target: Directory): void => {
      for (const [name, node] of survivingEntries(source, kept)) {
        const survivor = copyOf(node)
        target.entries.set(name, survivor)
        target.stable.set(name, survivor)
      }
    }
    copyEntries(this.root, copy.root)
    return copy
  }
}

function harden({ order, changes }: Operation): void {
  for (const { directory, name, node } of changes) {
    if ((directory.stableOrders.get(name) ?? 0) > order) continue
    directory.stableOrders.set(name, order)
    if (node === undefined) directory.stable.delete(name)
    else directory.stable.set(name, node)
  }
}

function survivingEntries(directory: Directory, kept: readonly Operation[]): Map<string, Node> {
  const entries = new Map(directory.stable)
  for (const { order, changes } of kept) {
    for (const change of changes) {
      if (change.directory !== directory || (directory.stableOrders.get(change.name) ?? 0) > order) continue
      if (change.node === undefined) entries.delete(change.name)
      else entries.set(change.name, change.node)
    }
  }
  return entries
}
