/**
 * P36 and P37: at the end every replica's log is read from its beginning: every batch is whole, they follow each other without
 * a gap, epochs never fall, and all of it is what was committed.
 */
import type { ReadResult } from '@milena/storage-engine'
import { batchHeader } from '@milena/wire-protocol'
import {
  compareBatches,
  type LiveReplica,
  type ReplicationChecker,
  type ReplicationObserver
} from '../replication-observer.ts'

const READ_BYTES = 256 << 10

export class LogsAreWellFormed implements ReplicationChecker {
  readonly name = 'logs-are-well-formed'
  readonly #observer: ReplicationObserver

  constructor(observer: ReplicationObserver) {
    this.#observer = observer
  }

  async finished(replicas: readonly LiveReplica[]): Promise<void> {
    for (const replica of replicas) await this.#readAll(replica)
  }

  async #readAll(replica: LiveReplica): Promise<void> {
    const { group, history, by } = replica
    const { log } = group
    const end = group.committedOffset
    let epoch = 0
    for (let offset = log.startOffset; offset < end;) {
      const read = await this.#read(replica, offset, end)
      const bytes = Buffer.concat(read.slices)
      read.release()
      for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at)) {
        if (batchHeader.baseOffset(bytes, at) !== offset) this.#fail(replica, `${offset} is missing`)
        if (batchHeader.computeCrc(bytes, at) !== batchHeader.crc(bytes, at))
          this.#fail(replica, `${offset} is damaged`)
        if (batchHeader.leaderEpoch(bytes, at) < epoch) this.#fail(replica, `the epoch falls at ${offset}`)
        epoch = batchHeader.leaderEpoch(bytes, at)
        offset = batchHeader.lastOffset(bytes, at) + 1
      }
      compareBatches(bytes, history, by)
    }
  }

  async #read(replica: LiveReplica, offset: number, end: number): Promise<ReadResult> {
    try {
      return await replica.group.log.read(offset, READ_BYTES, end, true)
    } catch (error) {
      return this.#fail(replica, `${offset} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #fail({ group, by }: LiveReplica, explanation: string): never {
    this.#observer.world.violated(this.name, `${group.name} on ${by}: ${explanation}`)
  }
}
