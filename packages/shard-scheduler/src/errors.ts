/** Typed errors of the scheduler. Every one carries a literal `code`, so that callers branch without reading messages. */

/**
 * Why a call between shards has no answer.
 *
 * - `DEADLINE`: time ran out. It may have run, or may run yet.
 * - `UNREACHABLE`: no link to the shard, or the link was lost. It may have run when it had been sent.
 * - `OVERLOADED`: a bound was reached, here or there. It did not run.
 * - `TOO_LARGE`: the payload is above `payloadBytesMax`. It did not run, and a retry will not help.
 * - `REMOTE`: the service threw, or the shard has no service of that name; the message says which.
 * - `CLOSED`: this mesh was closed before the call. It did not run.
 */
export type MeshErrorCode = 'DEADLINE' | 'UNREACHABLE' | 'OVERLOADED' | 'TOO_LARGE' | 'REMOTE' | 'CLOSED'

/** A call between shards did not end with an answer. */
export class MeshError extends Error {
  readonly code: MeshErrorCode
  constructor(code: MeshErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.name = 'MeshError'
    this.code = code
  }
}

/** Work came to a gate that is closing or closed. */
export class GateClosedError extends Error {
  readonly code = 'GATE_CLOSED'
  constructor(name: string) {
    super(`gate "${name}" is closed`)
    this.name = 'GateClosedError'
  }
}

/** A shard said, before it was ever ready, that it cannot start (a port in use, a locked data folder). */
export class ShardStartError extends Error {
  readonly code = 'SHARD_START_FAILED'
  /** The shard that could not start. */
  readonly shard: number
  constructor(shard: number, reason: string) {
    super(`shard ${shard} cannot start: ${reason}`)
    this.name = 'ShardStartError'
    this.shard = shard
  }
}

/** A request to the supervisor or to a shard could not be carried out in its present state. */
export class SupervisorError extends Error {
  readonly code: 'NOT_SUPERVISED' | 'NOT_RUNNING' | 'NO_ANSWER' | 'SOCKET_FOLDER'
  constructor(code: 'NOT_SUPERVISED' | 'NOT_RUNNING' | 'NO_ANSWER' | 'SOCKET_FOLDER', message: string) {
    super(`${code}: ${message}`)
    this.name = 'SupervisorError'
    this.code = code
  }
}
