/**
 * What rots is found although nobody reads it, and comes back from the others: when faults are over, no store knows of damage, and
 * what lies on every disk is what was committed, as the bytes themselves show and not what a store says of them.
 */
import { bytesAtRest, type BytesAtRest } from '@milena/storage-engine/testing'
import { batchHeader } from '@milena/wire-protocol'
import { STORE_DIRECTORY } from '../replica-process.ts'
import {
  compareBatches,
  type LiveReplica,
  type ReplicationChecker,
  type ReplicationObserver
} from '../replication-observer.ts'

export class DamageIsHealed implements ReplicationChecker {
  readonly name = 'damage-is-healed'
  readonly #observer: ReplicationObserver

  constructor(observer: ReplicationObserver) {
    this.#observer = observer
  }

  finished(replicas: readonly LiveReplica[]): void {
    for (const replica of replicas) {
      const { machine, group } = replica
      const [known] = machine.running?.store.status().damage.filter(({ log }) => log === group.name) ?? []
      if (known !== undefined)
        this.#fail(replica, `${known.startOffset}..${known.endOffset} is damaged: ${known.reason}`)
      if (group.log.startOffset > 0) this.#fail(replica, `its log begins at ${group.log.startOffset}`)
      for (const file of bytesAtRest(machine.state, STORE_DIRECTORY))
        if (file.log === group.name) this.#checkFile(replica, file)
    }
  }

  #checkFile(replica: LiveReplica, { path, baseOffset, byteCount }: BytesAtRest): void {
    const { machine, group, history, by } = replica
    const bytes = machine.disk.contents(path)?.subarray(0, byteCount) ?? new Uint8Array(0)
    let offset = baseOffset
    for (let at = 0; at < byteCount && offset < group.committedOffset;) {
      const length = at + batchHeader.headerBytes <= bytes.length ? batchHeader.totalBytes(bytes, at) : 0
      const isWhole =
        length >= batchHeader.headerBytes &&
        at + length <= bytes.length &&
        batchHeader.baseOffset(bytes, at) === offset &&
        batchHeader.computeCrc(bytes, at) === batchHeader.crc(bytes, at)
      if (!isWhole) this.#fail(replica, `${path} is damaged at ${at}, where ${offset} should be`)
      compareBatches(bytes.subarray(at, at + length), history, by)
      offset = batchHeader.lastOffset(bytes, at) + 1
      at += length
    }
  }

  #fail({ group, by }: LiveReplica, explanation: string): never {
    this.#observer.world.violated(this.name, `${group.name} on ${by}: ${explanation}`)
  }
}
