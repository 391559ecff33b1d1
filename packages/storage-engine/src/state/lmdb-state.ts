/**
 * The state backend on LMDB. Real implementation of a port: uses node:fs to look at the files before LMDB maps them.
 *
 * LMDB's hazards and what is done about them here (checksums, second copies and the witness that the database existed at all
 * are added above, in `checked-state.ts` and `identity.ts`):
 * - `transactionSync` returns before the sync, and asynchronous `transaction` does not work in every Node version: only
 *   `batch` is used, and `flushed` awaited behind it. One batch is one transaction.
 * - the newest, unflushed meta page is trusted when the boot id is unchanged: `overlappingSync: false` writes none, and
 *   `safeRestore` ignores any.
 * - a file shorter than its meta page says kills the process by a signal, as do zeroed meta pages: both are checked first, and
 *   a broken file is set aside (`<path>.damaged-<n>`), so that the store starts with lost state and says so.
 * - an error of a commit leaves the library in an undefined state: the backend refuses everything afterwards.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { StoreError } from '../errors.ts'
import type { StateBackend } from '../store-options.ts'

export interface LmdbStateOptions {
  /** Folder of the database; made when missing. One process at a time may have it open, and only once. */
  readonly path: string
  /** Address space for the map, bytes: the largest the database may become. Default 1 GiB. */
  readonly mapBytes?: number
  /** Told when a database that cannot be used was set aside. */
  readonly onSetAside?: (reason: string, movedTo: string) => void
}

const metaMagic = 0xbeefc0de
const pageBytes = 4096
const magicAt = 24
const lastPageAt = 144
const fileName = 'data.mdb'

/** Opens (or makes) the database. Never throws for a damaged file: that is set aside. */
export async function openLmdbState(options: LmdbStateOptions): Promise<StateBackend> {
  const { path } = options
  const reason = existsSync(join(path, fileName)) ? findDamage(join(path, fileName)) : undefined
  if (reason !== undefined) options.onSetAside?.(reason, setAside(path))
  mkdirSync(path, { recursive: true })
  const database = open<Buffer, string>({
    path,
    encoding: 'binary',
    noSubdir: false,
    overlappingSync: false,
    safeRestore: true,
    pageSize: pageBytes,
    mapSize: options.mapBytes ?? 1 << 30
  } as Parameters<typeof open>[0])
  syncFolder(path)
  syncFolder(dirname(path))
  return new LmdbState(database as RootDatabase<Buffer, string>)
}

class LmdbState implements StateBackend {
  readonly #database: RootDatabase<Buffer, string>
  #failed: Error | undefined
  #closed = false

  constructor(database: RootDatabase<Buffer, string>) {
    this.#database = database
  }

  get(key: string): Uint8Array | undefined {
    this.#check()
    const value = this.#database.getBinary(key)
    return value === undefined ? undefined : new Uint8Array(value)
  }

  async commit(changes: ReadonlyMap<string, Uint8Array | undefined>): Promise<void> {
    this.#check()
    try {
      await this.#database.batch(() => {
        for (const [key, value] of changes) {
          const written = value === undefined ? this.#database.remove(key) : this.#database.put(key, Buffer.from(value))
          written.catch(() => undefined)
        }
      })
      await this.#database.flushed
    } catch (error) {
      this.#failed = error as Error
      throw error
    }
  }

  keys(prefix: string): string[] {
    this.#check()
    const keys: string[] = []
    for (const key of this.#database.getKeys({ start: prefix })) {
      if (!key.startsWith(prefix)) break
      keys.push(key)
    }
    return keys.sort()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#database.close()
  }

  #check(): void {
    if (this.#closed) throw new StoreError('CLOSED', 'the state store is closed')
    if (this.#failed !== undefined)
      throw new StoreError('FAILED', 'the state store failed earlier', { cause: this.#failed })
  }
}

/**
 * Why the file must not be mapped; undefined when it may. Meta pages are pages 0 and 1: 24 bytes of page header, then magic
 * (4), version (4), address (8), map size (8), two database records (48 each), the last page in use (8), transaction id (8).
 */
function findDamage(path: string): string | undefined {
  const { size } = statSync(path)
  if (size < 2 * pageBytes) return `${size} bytes are fewer than the two meta pages`
  const pages = new Uint8Array(2 * pageBytes)
  const file = openSync(path, 'r')
  try {
    readSync(file, pages, 0, pages.length, 0)
  } finally {
    closeSync(file)
  }
  const view = new DataView(pages.buffer)
  for (const start of [0, pageBytes]) {
    if (view.getUint32(start + magicAt, true) !== metaMagic) return `meta page ${start / pageBytes} has no magic`
    const lastPage = Number(view.getBigUint64(start + lastPageAt, true))
    if ((lastPage + 1) * pageBytes > size) return `${size} bytes, but page ${lastPage} is in use`
  }
  return undefined
}

function setAside(path: string): string {
  let number = 1
  while (existsSync(`${path}.damaged-${number}`)) number++
  const target = `${path}.damaged-${number}`
  renameSync(path, target)
  syncFolder(dirname(path))
  return target
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
