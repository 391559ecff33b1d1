/**
 * What travels between two shards: calls, their answers, and messages that need none. A transport carries lists of frames, in
 * order, and knows nothing else. Sizes are counted as payload plus a flat overhead, the same on both sides, so that bounds mean
 * the same everywhere.
 */

/** Bytes that a frame is counted with besides its payload: its objects here, its fields on the wire. */
export const FRAME_OVERHEAD_BYTES = 64

/** A call on its way. */
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

/** The answer to a call. */
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

/**
 * Which of two queues of a link a message waits in. `bulk` is sent when nothing urgent waits; calls and answers are urgent.
 */
export type Lane = 'urgent' | 'bulk'

/** A message that has no answer. */
export interface MessageFrame {
  readonly kind: 'message'
  readonly channel: string
  /** At the sender: its own bytes, which nobody changes. At the receiver: valid while it is handled. */
  readonly payload: Uint8Array
  /** The sender's; does not travel. */
  readonly lane: Lane
}

/** What links carry. */
export type Frame = CallFrame | AnswerFrame | MessageFrame

/** Bytes that a frame counts for. */
export function frameBytes(frame: Frame): number {
  return frame.payload.length + textOf(frame).length + FRAME_OVERHEAD_BYTES
}

function textOf(frame: Frame): string {
  if (frame.kind === 'message') return frame.channel
  return frame.kind === 'call' ? frame.service : frame.message
}

/** One direction-pair to one incarnation of one shard: in order, nothing twice, gone for good once it is down. */
export interface Link {
  /**
   * Takes a list of frames. Calls `taken` once when it has room for more and needs their payloads no longer; never before this
   * call returned, and not at all when the link is lost before.
   */
  send(frames: readonly Frame[], taken: () => void): void
  /** Ends the link from this side. The transport must not deliver anything afterwards. */
  close(): void
}
