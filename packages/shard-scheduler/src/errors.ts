/** Typed errors of the scheduler. */

export type MeshErrorCode = 'DEADLINE' | 'UNREACHABLE' | 'OVERLOADED' | 'REMOTE' | 'CLOSED'

/** A call between shards did not end with an answer. */
export class MeshError extends Error {
  readonly code: MeshErrorCode
  constructor(code: MeshErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.name = 'MeshError'
    this.code = code
  }
}
