/**
 * What a replica keeps when its group was recovered uncleanly: one transaction turns the former life into the next one, whichever
 * of its parts were there. Nobody is told of the new id before it is durable.
 *
 *     survivor      log as it is, its marks and one more: the membership of which it is the only voter; term and vote of that
 *     anybody else  nothing; what the log holds is dropped when the first entry of the next life arrives
 */
import { recoverReplica } from '@milena/raft'
import type { BrokerId, GroupRecovery } from '../contract.ts'
import type { KeptState } from '../kept/group-state.ts'
import { Marks } from '../kept/marks.ts'
import { newReplicaId } from '../kept/replica-ids.ts'

/**
 * `kept`: the former life, its marks within a log that ends at `endOffset`, all of it durable. A survivor that turns out to hold
 * nothing of its own (its state was lost in between) begins anew as well: then the group needs another recovery.
 */
export function afterRecovery(
  kept: KeptState,
  { number, survivor, term }: GroupRecovery,
  endOffset: number,
  { self, random }: { readonly self: BrokerId; readonly random: (bound: number) => number }
): KeptState {
  const replica = newReplicaId(self, random)
  if (survivor !== self || kept.isVoid || kept.install !== undefined) {
    const promised = { replica, hardState: { term: 0, votedFor: undefined } }
    return { promised, marks: Marks.bootstrap(undefined), isVoid: true, install: undefined, recovery: number }
  }
  const { marks, promised } = kept
  const index = marks.lastIndex(endOffset)
  const last = { index, term: marks.termAt(index) }
  const membership = marks.membershipAt(index)
  const { hardState } = promised
  // Its term may have risen since the recovery was decided, while it tried to be elected.
  const termNow = Math.max(term, hardState.term + 1)
  const recovered = recoverReplica(replica, termNow, { last, membership, hardState })
  const mark = { offset: endOffset, term: termNow, membership: recovered.entry.membership }
  return {
    promised: { replica, hardState: recovered.hardState },
    marks: marks.with(mark),
    isVoid: false,
    install: undefined,
    recovery: number
  }
}
