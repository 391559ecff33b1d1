/** What the suite writes, and how it looks at what comes back. */
import assert from 'node:assert/strict'
import type { DiskFile, OpenOptions } from '../../disk.ts'
import { DiskError, type DiskErrorCode } from '../../errors.ts'

/** A file that goes past the page cache. */
export const DIRECT: OpenOptions = { mode: 'create', direct: true, durable: true }
/** A file that goes through the page cache. */
export const BUFFERED: OpenOptions = { mode: 'create', direct: false, durable: false }

/** Bytes that differ by place and by seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = (index * 7 + (index >> 8) + seed * 13) & 0xff
  return bytes
}

/** All bytes of a file. */
export async function contents(file: DiskFile): Promise<number[]> {
  const bytes = new Uint8Array(await file.size())
  assert.equal(await file.read(bytes, 0), bytes.length)
  return [...bytes]
}

/** The code of a `DiskError`. */
export function codeOf(error: unknown): DiskErrorCode | undefined {
  return error instanceof DiskError ? error.code : undefined
}

/** The error that a call ends with; fails when it succeeds. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail('the call should have been refused')
}

/** As `rejection`, of a `DiskError` with this code. */
export async function rejects(promise: Promise<unknown>, code: DiskErrorCode): Promise<unknown> {
  const error = await rejection(promise)
  assert.equal(codeOf(error), code, String(error))
  return error
}
