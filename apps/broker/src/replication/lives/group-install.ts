/**
 * Puts a snapshot in the place of a replica's log. Three stores change (the log, the state of whoever takes snapshots, the marks)
 * and none of them can tell of the others, so what is to be done is kept first (`raft/<group>/install`) and done again after a
 * crash; every part of it ends the same however often it is done.
 */
import type { Log, LogFold } from '@milena/storage-engine'
import type { GroupSnapshots } from '../contract.ts'
import { encodeMarks, installKey, marksKey, voidKey, type PendingInstall } from '../kept/group-state.ts'
import type { StateWriter } from '../kept/state-writer.ts'

export interface InstallParts {
  readonly name: string
  readonly log: Log
  readonly state: StateWriter
  readonly install: PendingInstall
  readonly snapshot: GroupSnapshots | undefined
  readonly fold: LogFold | undefined
}

/** Everything after the install was kept. */
export async function finishInstall({ name, log, state, install, snapshot, fold }: InstallParts): Promise<void> {
  const { marks, data } = install
  await log.resetTo(marks.base.offset)
  if (snapshot !== undefined) await snapshot.install(data, marks.base.offset)
  else fold?.restore(data.length === 0 ? undefined : data)
  await new Promise<void>(saved => {
    state.put(marksKey(name), encodeMarks(marks), NOTHING)
    state.put(voidKey(name), undefined, NOTHING)
    // All three in one transaction: puts of one turn share it.
    state.put(installKey(name), undefined, saved)
  })
}

const NOTHING = (): void => undefined
