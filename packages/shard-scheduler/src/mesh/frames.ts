/**
 * What travels between two shards: calls and their answers. A transport carries lists of frames, in order, and knows nothing
 * else. Sizes are counted as payload plus a flat overhead, the same on both sides, so that bounds mean the same everywhere.
 */

/** Bytes that a frame is counted with besides its payload: its objects here, its fields on the wire. */
export const FRAME_OVERHEAD_BYTES = 64

export interface CallFrame {
  readonly kind: 'call'
  /** Unique among the calls under way on its link; chosen by the caller. */
  readonly id: number
  readonly service: string
  payload: Uint8Array
  /** The caller gave up while the frame still waited here: it is not sent. */
  abandoned: boolean
}

/** `failed`: the service threw or is unknown. `overloaded`: refused by a bound, did not run. */
export type AnswerStatus = 'ok' | 'failed' | 'overloaded'

export interface AnswerFrame {
  readonly kind: 'answer'
  /** The call's id. */
  readonly id: number
  readonly status: AnswerStatus
  /** The answer when `ok`, else empty. */
  readonly payload: Uint8Array
  /** Why not, when not `ok`. */
  readonly message: string
}

export type Frame = CallFrame | AnswerFrame

/** Bytes that a frame counts for. */
export function frameBytes(frame: Frame): number {
  const text = frame.kind === 'call' ? frame.service : frame.message
  return frame.payload.length + text.length + FRAME_OVERHEAD_BYTES
}

/** One direction-pair to one incarnation of one shard: in order, nothing twice, gone for good once it is down. */
export interface Link {
  /** Takes a list of frames. Calls `taken` once when it has room for more; never before this call returned. */
  send(frames: readonly Frame[], taken: () => void): void
  /** Ends the link from this side. The transport must not deliver anything afterwards. */
  close(): void
}
