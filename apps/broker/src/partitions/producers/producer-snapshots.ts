/**
 * What a replica needs of the records that its leader dropped already: the producers that wrote them. The log itself goes on
 * where the leader's begins.
 */
import type { GroupSnapshots } from '../../replication/contract.ts'
import type { Partition } from '../partition.ts'

export function producerSnapshots(partition: Partition): GroupSnapshots {
  return {
    take: startOffset => ({
      bytes: partition.producers.snapshotUpTo(partition.group.committedOffset) ?? new Uint8Array(0),
      offset: startOffset
    }),
    install: bytes => {
      partition.producers.restore(bytes.length === 0 ? undefined : bytes)
      return Promise.resolve()
    }
  }
}
