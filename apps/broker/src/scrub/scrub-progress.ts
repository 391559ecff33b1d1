/**
 * How far the scrub of a shard is, as it is kept in the shard's state store: a pass takes hours, and a restart goes on where the
 * last run was, or waits for what is left of the interval. What cannot be read counts as nothing: the next pass begins.
 */
import type { StateStore } from '@milena/storage-engine'

const KEY = 'scrub'

export interface ScrubProgress {
  /** Wall clock, ms, of the beginning of the last pass; 0: there was none. */
  readonly startedMs: number
  /** Wall clock, ms, of the end of the last pass that ended; 0: none did. */
  readonly finishedMs: number
  /** The pass that is not over goes on with this log, at this offset. */
  readonly next: { readonly log: string; readonly offset: number; readonly bytesDone: number } | undefined
}

/** Before the first pass. */
const BEGINNING: ScrubProgress = { startedMs: 0, finishedMs: 0, next: undefined }

export function readProgress(state: StateStore): ScrubProgress {
  let kept: ScrubProgress | undefined
  try {
    const bytes = state.get(KEY)
    kept = bytes && (JSON.parse(new TextDecoder().decode(bytes)) as ScrubProgress)
  } catch {
    return BEGINNING
  }
  return kept ?? BEGINNING
}

/** Durable when it resolves. */
export function keepProgress(state: StateStore, progress: ScrubProgress): Promise<void> {
  return state.put(KEY, new TextEncoder().encode(JSON.stringify(progress)))
}
