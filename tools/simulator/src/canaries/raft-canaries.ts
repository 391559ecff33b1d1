/** Bugs planted at the Raft level: in what a replica is told, in what it says, in what it is given back after a crash. */
import { committedIndex, type Effect, type Entry, type Message, type RaftNode } from '@milena/raft'
import { runRaft, type RaftPlant } from '../raft/raft-simulation.ts'
import type { Canary } from './canary.ts'
import { withBug, type NodeBug } from './wrap-node.ts'

const plants: readonly (RaftPlant & { readonly name: string; readonly bug: string })[] = [
  {
    name: 'vote-before-saved',
    bug: 'term and vote count as durable as soon as they are handed to the disk',
    ...bugOf(node => ({
      effects: effects =>
        effects.flatMap(effect =>
          effect.kind === 'saveHardState' ? [effect, ...node.hardStateSaved(effect.revision)] : [effect]
        )
    }))
  },
  {
    name: 'follower-acks-before-flush',
    bug: 'a follower counts entries as durable as soon as they are handed to the disk',
    ...bugOf(node => ({ effects: effects => (node.roleKind === 'leader' ? effects : reportAtOnce(effects, node)) }))
  },
  {
    name: 'leader-counts-itself-before-flush',
    bug: "a leader's own copy counts as soon as it is handed to the disk",
    ...bugOf(node => ({ effects: effects => (node.roleKind === 'leader' ? reportAtOnce(effects, node) : effects) }))
  },
  {
    name: 'stale-flush-report',
    bug: 'the flush of entries that were cut meanwhile counts for those in their place',
    ...bugOf(node => ({
      inputs: { appended: last => node.appended({ index: last.index, term: node.termAt(last.index) ?? last.term }) }
    }))
  },
  {
    name: 'forgotten-vote',
    bug: 'the vote is not read back after a restart',
    recall: hardState => ({ ...hardState, votedFor: undefined })
  },
  {
    name: 'forgotten-term',
    bug: 'a restart recalls the term before the last',
    recall: ({ term }) => ({ term: Math.max(0, term - 1), votedFor: undefined })
  },
  {
    name: 'lost-disk-same-identity',
    bug: 'a replica that lost its disk returns as if nothing had happened',
    keepsIdentity: true
  },
  {
    name: 'commit-of-former-term',
    bug: "entries of former terms are committed by counting copies, without one of the leader's own",
    ...bugOf(commitByCounting)
  },
  {
    name: 'commit-on-leader-alone',
    bug: "what is on the leader's disk counts as committed",
    ...bugOf(node => {
      let told = 0
      return {
        effects: effects => {
          const { durableIndex } = node
          for (const effect of effects) if (effect.kind === 'commit') told = Math.max(told, effect.index)
          if (node.roleKind !== 'leader' || durableIndex <= told)
            return effects.filter(effect => effect.kind !== 'commit' || effect.index >= told)
          told = durableIndex
          return [...effects.filter(effect => effect.kind !== 'commit'), { kind: 'commit', index: durableIndex }]
        }
      }
    })
  },
  {
    name: 'vote-without-log-check',
    bug: "a vote is granted whatever the candidate's log",
    ...bugOf(node => ({
      step: message =>
        node.step(
          message.kind === 'vote' || message.kind === 'preVote'
            ? { ...message, last: { index: 1e9, term: 1e9 } }
            : message
        )
    }))
  },
  {
    name: 'vote-counted-twice',
    bug: 'a granted vote counts for two voters',
    ...bugOf(node => ({
      step: message => {
        const effects = node.step(message)
        if (message.kind !== 'voteResponse' || !message.granted || node.membership?.kind !== 'simple') return effects
        const other = node.membership.voters.find(voter => voter !== message.from && voter !== message.to)
        return other === undefined ? effects : [...effects, ...node.step({ ...message, from: other })]
      }
    }))
  },
  {
    name: 'match-without-check',
    bug: 'a follower acknowledges an append that does not fit its log',
    ...bugOf(node => ({
      step: message =>
        node.step(message).map(effect => (message.kind === 'append' ? acknowledgeAnyway(effect, message) : effect))
    }))
  },
  {
    name: 'commit-beyond-match',
    bug: "a heartbeat tells the leader's commit index, whatever the follower holds",
    ...bugOf(node => ({
      effects: effects =>
        effects.map(effect => {
          if (effect.kind !== 'send' || effect.message.kind !== 'heartbeat') return effect
          return { kind: 'send', message: { ...effect.message, commitIndex: node.commitIndex } }
        })
    }))
  },
  {
    name: 'read-without-quorum',
    bug: 'a leader answers linearizable reads without asking anybody',
    ...bugOf(node => ({
      inputs: {
        readIndex: request =>
          node.roleKind === 'leader'
            ? [{ kind: 'readReady', request, index: node.commitIndex }]
            : node.readIndex(request)
      }
    }))
  },
  {
    name: 'membership-without-joint',
    bug: 'voters change at once instead of by way of a joint membership',
    ...bugOf(() => ({ effects: effects => effects.map(skipJoint) }))
  },
  {
    name: 'damage-ignored',
    bug: 'a replica whose entries are unreadable regards its log as whole',
    open: open => (config, hardState, log) => open(config, hardState, { ...log, damaged: [] })
  },
  {
    name: 'no-pre-vote',
    bug: 'who was cut off stands for election at once when it returns',
    config: config => ({ ...config, preVote: false, checkQuorum: false })
  },
  {
    name: 'no-check-quorum',
    bug: 'a leader that hears from nobody goes on leading',
    config: config => ({ ...config, checkQuorum: false })
  }
]

/** All of them. */
export const raftCanaries: readonly Canary[] = plants.map(({ name, bug, ...plant }) => ({
  name,
  bug,
  level: 'raft',
  run: (seed, seconds) => runRaft({ seed, seconds, plant })
}))

function bugOf(make: <Payload>(node: RaftNode<Payload>) => NodeBug<Payload>): RaftPlant {
  return { open: open => withBug(open, make) }
}

/** Reports entries as durable in the moment in which they are to be written. */
function reportAtOnce<Payload>(
  effects: readonly Effect<Payload>[],
  node: RaftNode<Payload>
): readonly Effect<Payload>[] {
  return effects.flatMap(effect => {
    const last = effect.kind === 'append' ? effect.entries.at(-1) : undefined
    if (last === undefined) return [effect]
    const index = last.index + widthOf(last) - 1
    return node.termAt(index) === last.term ? [effect, ...node.appended({ index, term: last.term })] : [effect]
  })
}

function widthOf<Payload>(entry: Entry<Payload>): number {
  return entry.kind === 'data' ? entry.width : 1
}

/** A leader that says `commit` as soon as enough copies exist, whatever the term of the entry. */
function commitByCounting<Payload>(node: RaftNode<Payload>): NodeBug<Payload> {
  let told = 0
  return {
    effects: effects => {
      const others = effects.filter(effect => effect.kind !== 'commit' || effect.index > told)
      for (const effect of others) if (effect.kind === 'commit') told = Math.max(told, effect.index)
      if (node.roleKind !== 'leader' || node.membership === undefined) return others
      const counted = committedIndex(node.membership, voter => node.matchIndexOf(voter))
      if (counted <= told) return others
      told = counted
      return [...others, { kind: 'commit', index: counted }]
    }
  }
}

function acknowledgeAnyway<Payload>(
  effect: Effect<Payload>,
  append: Message<Payload> & { kind: 'append' }
): Effect<Payload> {
  if (effect.kind !== 'send' || effect.message.kind !== 'appendResponse' || effect.message.result !== 'rejected')
    return effect
  const { from, to, term } = effect.message
  const last = append.entries.at(-1)
  const matchIndex = last === undefined ? append.previous.index : last.index + widthOf(last) - 1
  return { kind: 'send', message: { kind: 'appendResponse', from, to, term, result: 'matched', matchIndex } }
}

function skipJoint<Payload>(effect: Effect<Payload>): Effect<Payload> {
  if (effect.kind !== 'append') return effect
  const entries = effect.entries.map((entry): Entry<Payload> => {
    if (entry.kind !== 'membership' || entry.membership.kind !== 'joint') return entry
    const { incoming, learners } = entry.membership
    return { ...entry, membership: { kind: 'simple', voters: incoming, learners } }
  })
  return { ...effect, entries }
}
