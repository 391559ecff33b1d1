/**
 * What a replica keeps in its shard's state store, and how it begins from it.
 *
 *     raft/<group>/vote      its id, its term and vote                    before any message that tells them leaves
 *     raft/<group>/marks     where Raft's own entries stand (marks.ts)    before anything after them is appended
 *     raft/<group>/void      what the log holds is of an earlier life     until the log is emptied, before the first entry
 *     raft/<group>/install   a snapshot that replaces the log             from before the log is emptied until it is in place
 *     raft/<group>/recovery  number of the last unclean recovery that it is of; with the first vote of that life
 *     raft/lost              the state store was lost at some time and not all groups have been looked at since
 *
 * A replica without `vote` has made no promises under any id that it could still know. What it is then, decides what else there
 * is (`beginning`):
 *
 *     log   bootstrap          raft/lost   it is
 *     no    contains self      no          new, and founds the group with the others of its bootstrap
 *     any   self alone         any         the only replica: nobody else can hold anything else; marks are found again from the
 *                                          epochs in the log
 *     any   anything else      any         one that lost its promises, or one that is being added: it waits to be added by the
 *                                          group's leader, under an id that never made any (replica-ids.ts), and what its log
 *                                          holds is dropped when the first entry arrives
 *
 * So a replica never votes twice in a term, and never stands with a log that it may have acknowledged more of: whoever lost its
 * memory is another replica from then on, and a membership change that the others decide without it lets it in.
 */
import type { HardState, ReplicaId } from '@milena/raft'
import { StoreError, type StateStore } from '@milena/storage-engine'
import { Marks } from './marks.ts'
import {
  bytesTag,
  doubleTag,
  messageEnd,
  readMarks,
  seal,
  unseal,
  varintTag,
  writeMarks,
  Writer
} from '../wire/proto.ts'

export const LOST_KEY = 'raft/lost'
export const voteKey = (group: string): string => `raft/${group}/vote`
export const marksKey = (group: string): string => `raft/${group}/marks`
export const voidKey = (group: string): string => `raft/${group}/void`
export const installKey = (group: string): string => `raft/${group}/install`
export const recoveryKey = (group: string): string => `raft/${group}/recovery`

/** All keys of a group. */
export const groupKeys = (group: string): string[] => [
  voteKey(group),
  marksKey(group),
  voidKey(group),
  installKey(group),
  recoveryKey(group)
]

/** What a replica has promised, and under which id. */
export interface Promised {
  readonly replica: ReplicaId
  readonly hardState: HardState
}

/** A snapshot on its way into the place of the log. */
export interface PendingInstall {
  /** Base: where the log goes on. */
  readonly marks: Marks
  readonly data: Uint8Array
}

export interface KeptState {
  readonly promised: Promised
  readonly marks: Marks
  /** What the store's log holds is not part of the group: it is emptied before the first entry is taken. */
  readonly isVoid: boolean
  readonly install: PendingInstall | undefined
  /** Number of the last unclean recovery of the group that this life began with, or after; 0: none. */
  readonly recovery: number
}

export type Beginning = 'founder' | 'alone' | 'waiting'

/** What a replica without promises is; see above. */
export function beginning(
  self: number,
  bootstrap: readonly number[],
  found: { readonly logHolds: boolean; readonly stateLost: boolean }
): Beginning {
  if (bootstrap.length === 1 && bootstrap[0] === self) return found.logHolds ? 'alone' : 'founder'
  return bootstrap.includes(self) && !found.logHolds && !found.stateLost ? 'founder' : 'waiting'
}

export function encodePromised(promised: Promised): Uint8Array {
  const { replica, hardState } = promised
  const writer = Writer.create()
  writer.uint32(doubleTag(1)).double(replica)
  writer.uint32(varintTag(2)).uint32(hardState.term)
  if (hardState.votedFor !== undefined) writer.uint32(doubleTag(3)).double(hardState.votedFor)
  return seal(writer)
}

export function decodePromised(bytes: Uint8Array): Promised {
  const reader = unseal(bytes)
  let replica = 0
  let term = 0
  let votedFor: number | undefined
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === doubleTag(1)) replica = reader.double()
    else if (tag === varintTag(2)) term = reader.uint32()
    else if (tag === doubleTag(3)) votedFor = reader.double()
    else reader.skipType(tag & 7)
  }
  return { replica, hardState: { term, votedFor } }
}

export function encodeMarks(marks: Marks): Uint8Array {
  const writer = Writer.create()
  writeMarks(writer, marks)
  return seal(writer)
}

export function decodeMarks(bytes: Uint8Array): Marks {
  const reader = unseal(bytes)
  return readMarks(reader, reader.len)
}

export function encodeInstall({ marks, data }: PendingInstall): Uint8Array {
  const writer = Writer.create()
  writeMarks(writer, marks, 1)
  writer.uint32(bytesTag(2)).bytes(data)
  return seal(writer)
}

export function decodeInstall(bytes: Uint8Array): PendingInstall {
  const reader = unseal(bytes)
  let marks = Marks.bootstrap(undefined)
  let data: Uint8Array = new Uint8Array(0)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === bytesTag(1)) marks = readMarks(reader, messageEnd(reader))
    else if (tag === bytesTag(2)) data = reader.bytes()
    else reader.skipType(tag & 7)
  }
  return { marks, data }
}

export function encodeRecovery(number: number): Uint8Array {
  return seal(Writer.create().uint32(varintTag(1)).uint32(number))
}

function decodeRecovery(bytes: Uint8Array): number {
  const reader = unseal(bytes)
  let number = 0
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag === varintTag(1)) number = reader.uint32()
    else reader.skipType(tag & 7)
  }
  return number
}

export type ReadState = { readonly kind: 'kept'; readonly state: KeptState } | { readonly kind: 'absent' | 'damaged' }

/** What is kept of a group. Damaged beyond its copies is as good as lost. */
export function readGroupState(state: StateStore, group: string): ReadState {
  try {
    const promised = state.get(voteKey(group))
    const marks = state.get(marksKey(group))
    if (promised === undefined && marks === undefined) return { kind: 'absent' }
    if (promised === undefined || marks === undefined) return { kind: 'damaged' }
    const install = state.get(installKey(group))
    const recovery = state.get(recoveryKey(group))
    return {
      kind: 'kept',
      state: {
        promised: decodePromised(promised),
        marks: decodeMarks(marks),
        isVoid: state.get(voidKey(group)) !== undefined,
        install: install === undefined ? undefined : decodeInstall(install),
        recovery: recovery === undefined ? 0 : decodeRecovery(recovery)
      }
    }
  } catch (error) {
    if (error instanceof RangeError || (error instanceof StoreError && error.code === 'CORRUPT'))
      return { kind: 'damaged' }
    throw error
  }
}
