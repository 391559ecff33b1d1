/**
 * The durable state backend: one LMDB environment per shard. Real implementation of a port.
 *
 * Only awaited asynchronous commits are used, and `flushed` after them: `transactionSync` returns before the sync. With
 * `overlappingSync` off a failed sync rejects instead of surfacing elsewhere, and with `safeRestore` an environment whose
 * newest commit was not synced opens at the one before, whatever the boot id says.
 */
import { mkdirSync } from 'node:fs'
import { open, type RootDatabaseOptionsWithPath } from 'lmdb'
import type { StateBackend } from '../store-options.ts'

export interface LmdbStateOptions {
  /** Folder of the environment; made when missing. One process at a time. */
  readonly path: string
}

/** Opens the environment. Rejects when it cannot be opened. */
export async function openLmdbState(options: LmdbStateOptions): Promise<StateBackend> {
  mkdirSync(options.path, { recursive: true })
  const database = open<Buffer, string>(environmentOptions(options.path))
  return {
    get: key => database.getBinary(key),
    commit: async changes => {
      await database.transaction(() => {
        for (const [key, value] of changes) {
          if (value === undefined) void database.remove(key)
          else void database.put(key, Buffer.from(value))
        }
      })
      await database.flushed
    },
    keys: prefix => [...database.getKeys({ start: prefix, end: `${prefix}\uffff` })],
    close: () => database.close()
  }
}

/** `safeRestore` is an option of lmdb that its types leave out. */
function environmentOptions(path: string): RootDatabaseOptionsWithPath & { safeRestore: boolean } {
  return { path, noSubdir: false, encoding: 'binary', overlappingSync: false, safeRestore: true, maxReaders: 8 }
}
