/** What the operating system says, as the `DiskError` that the contract promises. */
import { getSystemErrorName } from 'node:util'
import { DiskError, type DiskErrorCode } from '../errors.ts'

const CODES: ReadonlyMap<string, DiskErrorCode> = new Map([
  ['ENOENT', 'NOT_FOUND'],
  ['ENOSPC', 'NO_SPACE'],
  ['EDQUOT', 'NO_SPACE'],
  ['ENOMEM', 'NO_MEMORY'],
  ['EOPNOTSUPP', 'UNSUPPORTED'],
  ['ENOTSUP', 'UNSUPPORTED'],
  ['ENOSYS', 'UNSUPPORTED'],
  // Of links only: two file systems, too many names of one file.
  ['EXDEV', 'UNSUPPORTED'],
  ['EMLINK', 'UNSUPPORTED']
])

/** A failed system call: `code` is the name of the errno (`'EIO'`), as in the errors of `node:fs`. */
export class SystemCallError extends Error {
  readonly code: string
  constructor(call: string, errno: number) {
    const name = errnoName(errno)
    super(`${call}: ${name}`)
    this.name = 'SystemCallError'
    this.code = name
  }
}

/** The name of a positive errno; `'E<number>'` for one that libuv does not know. */
export function errnoName(errno: number): string {
  const name = getSystemErrorName(-errno)
  return name.startsWith('Unknown') ? `E${errno}` : name
}

/** The errno name in an error of `node:fs` or of this folder; empty when there is none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Wraps an error of the system; `DiskError`s pass through. */
export function toDiskError(path: string, what: string, cause: unknown): DiskError {
  if (cause instanceof DiskError) return cause
  const code = codeOf(cause)
  const message = cause instanceof Error ? cause.message : String(cause)
  const text = cause instanceof SystemCallError ? message : `${what}: ${message}`
  return new DiskError(CODES.get(code) ?? 'IO', path, text, { cause })
}

/** Runs a system call and wraps what it throws. */
export async function wrapErrors<T>(path: string, what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw toDiskError(path, what, error)
  }
}
