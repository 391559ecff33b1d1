/** Typed errors of the storage engine. `code` is stable; `cause` keeps what the system said. */

export type DiskErrorCode =
  'NOT_FOUND' | 'NO_SPACE' | 'NO_MEMORY' | 'IO' | 'MISALIGNED' | 'POISONED' | 'CLOSED' | 'UNSUPPORTED'

/** A disk refused or failed an operation. */
export class DiskError extends Error {
  readonly code: DiskErrorCode
  readonly path: string
  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(`${code} ${path}: ${message}`, options)
    this.name = 'DiskError'
    this.code = code
    this.path = path
  }
}

/** Why the store refused; see `StoreError`. */
export type StoreErrorCode =
  | 'OUT_OF_RANGE'
  | 'CORRUPT'
  | 'FAILED'
  | 'NO_SPACE'
  | 'ENTRY_TOO_LARGE'
  | 'UNKNOWN_LOG'
  | 'LOG_EXISTS'
  | 'NOT_ADOPTED'
  | 'INVALID_NAME'
  | 'IDENTITY_MISMATCH'
  | 'CLOSED'

/** The store of a shard refused or failed. `log` names the log when one is concerned. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  readonly log: string | undefined
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions & { log?: string }) {
    super(options?.log === undefined ? `${code}: ${message}` : `${code} ${options.log}: ${message}`, options)
    this.name = 'StoreError'
    this.code = code
    this.log = options?.log
  }
}

/** Of work that writes: the end of the store, not an answer to whoever asked for the work. */
export function isFatal(error: unknown): boolean {
  return !(error instanceof StoreError) || error.code === 'FAILED'
}
