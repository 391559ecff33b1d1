/**
 * The bounds of a mesh and of a peer network. Every queue is behind one of them. Memory that they imply, per peer:
 * `pendingBytesMax` of calls that wait to be sent, twice `pendingBytesMax` of answers, `pendingBytesMax` of urgent messages and
 * `bulkBytesMax` of others; what the transport holds (`batchesInFlightMax` batches) is counted in them.
 */
export interface MeshLimits {
  /** Largest payload of a call, an answer or a message, bytes. Above: `TOO_LARGE`. Default 16 MiB. */
  readonly payloadBytesMax: number
  /** Bytes of calls that may wait for one peer's link. Above: `OVERLOADED`. Default 64 MiB. */
  readonly pendingBytesMax: number
  /** Bytes of bulk messages that may wait for one peer's link. Above: `send` answers false. Default 32 MiB. */
  readonly bulkBytesMax: number
  /** Calls to one peer without an end. Above: `OVERLOADED`. The called side refuses above the same number. Default 16,384. */
  readonly pendingCallCountMax: number
  /** Bytes after which a batch is closed and the next begins; one larger payload travels alone. Default 1 MiB. */
  readonly batchBytesMax: number
  /**
   * Batches handed to the transport and not yet taken. While they wait, the next batch gathers. Bulk may have half of them, so
   * that what is urgent never waits for more. Default 4.
   */
  readonly batchesInFlightMax: number
  /** Deadline of a call that names none, milliseconds. Default 10,000. */
  readonly deadlineMs: number
}

/** What holds where nothing else is given. */
export const defaultMeshLimits: MeshLimits = {
  payloadBytesMax: 16 * 1024 * 1024,
  pendingBytesMax: 64 * 1024 * 1024,
  bulkBytesMax: 32 * 1024 * 1024,
  pendingCallCountMax: 16_384,
  batchBytesMax: 1024 * 1024,
  batchesInFlightMax: 4,
  deadlineMs: 10_000
}

/** Room for a batch's own fields beside the one payload that may exceed `batchBytesMax`. */
const BATCH_OVERHEAD_BYTES_MAX = 64 * 1024

/** Bound of a received batch that a peer with the same limits may send, bytes. */
export function receivedBatchBytesMax({ payloadBytesMax, batchBytesMax }: MeshLimits): number {
  return Math.max(payloadBytesMax, batchBytesMax) + BATCH_OVERHEAD_BYTES_MAX
}
