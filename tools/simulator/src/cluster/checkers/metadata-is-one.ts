/**
 * P38: a shard's copy of the metadata never goes back while it runs; two copies of the same revision are the same, on any shard
 * at any time; in the end all copies are.
 */
import { toSnapshot } from '@milena/broker/testing'
import { hashBytes } from '../../replication/hash-bytes.ts'
import type { ClusterNode } from '../cluster-node.ts'
import type { ClusterChecker, ClusterHistory } from '../history.ts'
import type { ShardProcess } from '../shard-process.ts'

export class MetadataIsOne implements ClusterChecker {
  readonly name = 'metadata-is-one'
  readonly #history: ClusterHistory
  readonly #seen = new WeakMap<ShardProcess, number>()
  /** Hash of the state by revision. */
  readonly #states = new Map<number, number>()

  constructor(history: ClusterHistory) {
    this.#history = history
  }

  observed(process: ShardProcess): void {
    const { metadata } = process.open
    const { revision } = metadata
    const before = this.#seen.get(process)
    if (before === revision) return
    if (before !== undefined && revision < before) {
      this.#fail(`${process.brokerId} goes back from revision ${before} to ${revision}`)
    }
    this.#seen.set(process, revision)
    const hash = hashBytes(Buffer.from(JSON.stringify(toSnapshot(metadata))))
    const known = this.#states.get(revision)
    if (known !== undefined && known !== hash) this.#fail(`${process.brokerId} has another revision ${revision}`)
    this.#states.set(revision, hash)
  }

  finished(nodes: readonly ClusterNode[]): void {
    const shards = nodes.flatMap(({ shards }) => shards)
    const revisions = shards.map(({ running }) => running?.open.metadata.revision ?? -1)
    if (new Set(revisions).size > 1) this.#fail(`shards end with revisions ${revisions.join(', ')}`)
  }

  #fail(explanation: string): never {
    return this.#history.world.violated(this.name, explanation)
  }
}
