/**
 * The controller's log: commands as records, in a log of shard 0's store.
 *
 * Each command is one record batch with one record whose value is the command as JSON (KRaft keeps its metadata the same
 * way), so the log has the same format, checks and durability as everything else, and can be replicated as it is. Now and
 * then the folded state goes to the state store and the log before it is trimmed.
 *
 * Appending is strictly one after the other: a command is durable before it is applied.
 */
import { StoreError, type Log, type LogStore } from '@milena/storage-engine'
import { BatchBuilder, batchHeader, iterateRecords } from '@milena/wire-protocol'
import { apply } from './apply.ts'
import { emptyState, fromSnapshot, toSnapshot, type ClusterState, type StateSnapshot } from './cluster-state.ts'
import { decodeCommand, encodeCommand, type Command, type CommandResult } from './commands.ts'

export const CONTROLLER_LOG_NAME = '__controller'
const SNAPSHOT_KEY = 'controller/snapshot'
/** Commands between snapshots. At about 300 bytes each, this is what a start replays at most. */
const COMMANDS_PER_SNAPSHOT = 2000
const REPLAY_READ_BYTES = 256 * 1024

export class CommandLog {
  readonly #store: LogStore
  readonly #log: Log
  readonly #now: () => number
  #state: ClusterState
  #sinceSnapshot = 0

  private constructor(store: LogStore, log: Log, state: ClusterState, now: () => number) {
    this.#store = store
    this.#log = log
    this.#state = state
    this.#now = now
  }

  /** Opens the log (made when missing) and folds it into the current state. */
  static async open(store: LogStore, now: () => number): Promise<CommandLog> {
    const log = store.logs.get(CONTROLLER_LOG_NAME) ?? (await createControllerLog(store))
    const stored = readSnapshot(store)
    const commands = new CommandLog(store, log, stored?.state ?? emptyState, now)
    await commands.#replay(stored?.nextOffset ?? log.startOffset)
    return commands
  }

  get state(): ClusterState {
    return this.#state
  }

  /** Makes the command durable, then applies it. Callers take turns: one `execute` at a time. */
  async execute(command: Command): Promise<CommandResult> {
    const batch = new BatchBuilder({ baseOffset: this.#log.endOffset })
    batch.append({ key: null, value: encodeCommand(command), timestamp: BigInt(this.#now()) })
    const outcome = this.#log.append(batch.build())
    if (outcome === 'full') {
      await this.#store.whenWritable()
      return this.execute(command)
    }
    if (outcome === 'failed')
      throw new StoreError('FAILED', 'the controller log accepts no writes', { log: CONTROLLER_LOG_NAME })
    await this.#log.flush()
    const { state, result } = apply(this.#state, command)
    this.#state = state
    if (++this.#sinceSnapshot >= COMMANDS_PER_SNAPSHOT) await this.#saveSnapshot()
    return result
  }

  async #replay(from: number): Promise<void> {
    const end = this.#log.endOffset
    for (let offset = Math.max(from, this.#log.startOffset); offset < end;) {
      const read = await this.#log.read(offset, REPLAY_READ_BYTES, end, true)
      try {
        const bytes = Buffer.concat(read.slices)
        for (let at = 0; at < bytes.length; at += batchHeader.totalBytes(bytes, at)) {
          for (const record of iterateRecords(bytes, at)) {
            if (record.offset < from || record.value === null) continue
            this.#state = apply(this.#state, decodeCommand(record.value)).state
            this.#sinceSnapshot++
          }
        }
        offset = read.nextOffset
      } finally {
        read.release()
      }
    }
  }

  async #saveSnapshot(): Promise<void> {
    const nextOffset = this.#log.endOffset
    const text = JSON.stringify({ nextOffset, state: toSnapshot(this.#state) })
    await this.#store.state.put(SNAPSHOT_KEY, Buffer.from(text))
    this.#sinceSnapshot = 0
    await this.#log.trim(nextOffset)
  }
}

async function createControllerLog(store: LogStore): Promise<Log> {
  const options = { segmentBytes: 16 * 1024 * 1024, indexIntervalBytes: 4096, segmentMs: Number.MAX_SAFE_INTEGER }
  const [log] = await store.createLogs([{ name: CONTROLLER_LOG_NAME, options }])
  if (log === undefined) throw new StoreError('UNKNOWN_LOG', 'the store did not create the controller log')
  return log
}

function readSnapshot(store: LogStore): { nextOffset: number; state: ClusterState } | undefined {
  const bytes = store.state.get(SNAPSHOT_KEY)
  if (bytes === undefined) return undefined
  const { nextOffset, state } = JSON.parse(Buffer.from(bytes).toString()) as {
    nextOffset: number
    state: StateSnapshot
  }
  return { nextOffset, state: fromSnapshot(state) }
}
