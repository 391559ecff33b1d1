/**
 * The first of two passes over a journal whose state store was lost: what the second one, the replay, may apply.
 *
 * Without checkpoints nobody knows what was destaged, cut or removed since a frame was written. Two things bound that. After a
 * recovery everything is in the segments, so only the frames of the last run count (its first one has no `chain`). And a log
 * that was made, cut or reset says so with its next commit (`anew`), so of every log only what follows counts: that
 * continues without a step back, and agrees with what direct writes have put into the segments since.
 */
import { RecordKind, payloadIsIntact, type FrameRecord } from '../../journal/frame.ts'
import type { FoundFrame, JournalReader } from '../../journal/journal-reader.ts'
import type { LogOptions } from '../../log-store.ts'
import { parseLogDescription } from '../checkpoint.ts'

export interface SurveyedLog {
  readonly name: string
  readonly options: LogOptions
  /** The first commit whose records count. */
  readonly from: number
  /** The segment with which they begin. */
  readonly segmentBase: number
}

/** What the second pass needs to know. */
export interface JournalSurvey {
  /** The first frame of the last run, 0 when it is no longer there. */
  readonly replayFrom: number
  /** Logs by name, each as it was last begun. */
  readonly logs: ReadonlyMap<string, SurveyedLog>
  /** The names of those logs by the numbers that frames call them. */
  readonly names: ReadonlyMap<number, string>
}

interface Survey extends JournalSurvey {
  replayFrom: number
  readonly logs: Map<string, SurveyedLog>
  readonly names: Map<number, string>
}

export async function surveyJournal(reader: JournalReader): Promise<JournalSurvey> {
  const survey: Survey = { replayFrom: 0, logs: new Map(), names: new Map() }
  await reader.replay(0, 0, found => {
    const { frame } = found
    if (frame.chain === 0) {
      survey.replayFrom = frame.sequence
      survey.logs.clear()
      survey.names.clear()
    }
    for (const record of frame.records)
      if (record.kind === RecordKind.name || record.kind === RecordKind.anew) note(survey, found, record)
    return Promise.resolve()
  })
  return survey
}

function note({ logs, names }: Survey, { frame, bytes, at }: FoundFrame, record: FrameRecord): void {
  const { kind, logNumber, payload, byteCount, segmentBase } = record
  const known = logs.get(names.get(logNumber) ?? '')
  if (known !== undefined) {
    if (kind === RecordKind.anew) logs.set(known.name, { ...known, from: frame.sequence, segmentBase })
    return
  }
  if (!payloadIsIntact(frame, bytes, at)) return
  const start = at + payload
  const { name, options } = parseLogDescription(bytes.subarray(start, start + byteCount))
  for (const [number, other] of names) if (other === name) names.delete(number)
  names.set(logNumber, name)
  const from = kind === RecordKind.anew ? frame.sequence : 1
  logs.set(name, { name, options, from, segmentBase })
}
