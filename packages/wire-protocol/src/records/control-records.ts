/**
 * Control records: what brokers write between the records of clients. The key says which kind (version int16, type int16);
 * of the kinds only the end of a transaction appears in the partitions of topics, a batch with one record:
 *
 *     key := version 0 int16 │ type int16: 0 abort, 1 commit          value := version 0 int16 │ coordinatorEpoch int32
 */
import * as batchHeader from './batch-header.ts'
import { BatchBuilder } from './batch-builder.ts'
import { BatchError, nextRecord, openBatch } from './open-batch.ts'

/** How a transaction ended. */
export type TransactionOutcome = 'abort' | 'commit'

/** What the marker at the end of a transaction says. */
export interface EndTransactionMarker {
  readonly outcome: TransactionOutcome
  /** Epoch of the transaction coordinator that ended the transaction; a lower one than seen before is fenced. */
  readonly coordinatorEpoch: number
}

const abortType = 0
const commitType = 1

/** A control batch that ends a transaction. */
export function buildEndTransactionMarker(
  marker: EndTransactionMarker & {
    readonly producerId: bigint
    readonly producerEpoch: number
    /** Ms since the epoch. */
    readonly timestamp: bigint
    /** Default 0 and -1: the partition's leader fills them in. */
    readonly baseOffset?: number
    readonly leaderEpoch?: number
  }
): Uint8Array {
  const key = new Uint8Array(4)
  key[3] = marker.outcome === 'commit' ? commitType : abortType
  const value = new Uint8Array(6)
  new DataView(value.buffer).setInt32(2, marker.coordinatorEpoch)
  const builder = new BatchBuilder({
    baseOffset: marker.baseOffset ?? 0,
    leaderEpoch: marker.leaderEpoch ?? -1,
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    isTransactional: true,
    isControl: true
  })
  builder.append({ timestamp: marker.timestamp, key, value })
  return builder.build()
}

/**
 * The marker in the control batch at `start`; undefined for control records of other kinds (leader changes, snapshots) and
 * of kinds from the future. Throws `BatchError` when the batch is damaged or no control batch.
 */
export function readEndTransactionMarker(bytes: Uint8Array, start: number): EndTransactionMarker | undefined {
  const cursor = openBatch(bytes, start)
  if (!batchHeader.isControl(bytes, start)) throw new BatchError('Not a control batch')
  nextRecord(cursor, 0)
  if (cursor.keyBytes < 4) throw new BatchError(`Control key of ${cursor.keyBytes} bytes`)
  const view = new DataView(cursor.bytes.buffer, cursor.bytes.byteOffset, cursor.bytes.length)
  if (view.getInt16(cursor.keyStart) < 0) throw new BatchError('Control key of a negative version')
  const type = view.getInt16(cursor.keyStart + 2)
  if (type !== abortType && type !== commitType) return undefined
  if (cursor.valueBytes < 6) throw new BatchError(`End of a transaction in ${cursor.valueBytes} bytes`)
  return {
    outcome: type === commitType ? 'commit' : 'abort',
    coordinatorEpoch: view.getInt32(cursor.valueStart + 2)
  }
}
