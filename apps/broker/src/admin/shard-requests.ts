/**
 * Questions of the admin API to a shard's process, over the supervisor's control channel: one message there, one back.
 *
 *     admin API ──ask──► { kind: 'ask', id, name, request } ──► shard
 *                        { kind: 'answer', id, answer } or { kind: 'failed', id, status, message } ◄──
 *     a shard that serves clients says { kind: 'serving' } by itself
 */
import type { OperationName } from '../cluster/operations.ts'

export type ToShardMessage = {
  readonly kind: 'ask'
  readonly id: number
  readonly name: OperationName
  readonly request: object
}

export type FromShardMessage =
  | { readonly kind: 'answer'; readonly id: number; readonly answer: object }
  | { readonly kind: 'failed'; readonly id: number; readonly status: number; readonly message: string }
  | { readonly kind: 'serving' }

/** A shard did not do what was asked. `status` is HTTP's. */
export class ShardRequestError extends Error {
  readonly code = 'SHARD_REQUEST'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.name = 'ShardRequestError'
    this.status = status
  }
}

/** How long a shard may take to answer, ms. */
const DEADLINE_MS = 12_000

interface Waiter {
  readonly resolve: (answer: object) => void
  readonly reject: (error: ShardRequestError) => void
}

/** The asking side, in the supervisor's process. */
export class ShardRequests {
  readonly #send: (shard: number, message: ToShardMessage) => boolean
  readonly #after: (delayMs: number, callback: () => void) => () => void
  readonly #waiters = new Map<number, Waiter>()
  #nextId = 1

  /** `send` answers false when the shard has no process. */
  constructor(options: {
    send: (shard: number, message: ToShardMessage) => boolean
    after: (delayMs: number, callback: () => void) => () => void
  }) {
    this.#send = options.send
    this.#after = options.after
  }

  /** Rejects with a `ShardRequestError`. */
  ask(shard: number, name: OperationName, request: object): Promise<object> {
    const id = this.#nextId++
    return new Promise<object>((resolve, reject) => {
      const cancel = this.#after(DEADLINE_MS, () => this.#settle(id)?.reject(new ShardRequestError(504, NO_ANSWER)))
      const done = { resolve, reject }
      this.#waiters.set(id, {
        resolve: answer => {
          cancel()
          done.resolve(answer)
        },
        reject: error => {
          cancel()
          done.reject(error)
        }
      })
      if (this.#send(shard, { kind: 'ask', id, name, request })) return
      this.#settle(id)?.reject(new ShardRequestError(503, `shard ${shard} does not run`))
    })
  }

  /** A message of a shard; others than answers are passed over. */
  receive(message: FromShardMessage): void {
    if (message.kind === 'serving') return
    const waiter = this.#settle(message.id)
    if (message.kind === 'answer') waiter?.resolve(message.answer)
    else waiter?.reject(new ShardRequestError(message.status, message.message))
  }

  #settle(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    return waiter
  }
}

const NO_ANSWER = 'the shard did not answer in time'

/** The answering side, in the shard's process. */
export async function answerShardRequest(
  { id, name, request }: ToShardMessage,
  run: (name: OperationName, request: object) => Promise<object>
): Promise<FromShardMessage> {
  try {
    return { kind: 'answer', id, answer: await run(name, request) }
  } catch (error) {
    const status = (error as { status?: unknown }).status
    const message = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', id, status: typeof status === 'number' ? status : 503, message }
  }
}
