/**
 * Rules of Raft, each broken on purpose: what the tests must find. A bug is a wrapper around the node (a host could do the same
 * to it), or a method replaced for as long as it is planted.
 */
import type { RaftNode } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { EntryId, Index } from '../entries.ts'
import type { Membership } from '../membership.ts'
import { Leadership } from '../node/leadership.ts'
import { MembershipHistory } from '../node/membership-history.ts'
import { openRaftNode } from '../node/raft-node.ts'
import { Replica } from '../node/replica.ts'
import { TermLog } from '../node/term-log.ts'
import { committedIndex } from '../quorum.ts'
import { lastIndexOf, type MemoryHostOptions, type Payload } from './memory-host.ts'

type Open = NonNullable<MemoryHostOptions['open']>

export interface PlantedBug {
  readonly title: string
  /** Returns how to open a node that has it, and how to take it out again. */
  plant(): { readonly open: Open; remove(): void }
}

/** Replaces a method or getter of a class. */
function replaced<Owner extends object>(
  owner: Owner,
  name: keyof Owner & string,
  replacement: (original: PropertyDescriptor) => PropertyDescriptor
): { readonly open: Open; remove(): void } {
  const original = Object.getOwnPropertyDescriptor(owner, name)!
  Object.defineProperty(owner, name, { configurable: true, ...replacement(original) })
  return { open: openRaftNode<Payload>, remove: () => Object.defineProperty(owner, name, original) }
}

/** Passes effects through `change`, whatever the input. */
function wrapped(change: (effect: Effect<Payload>, node: RaftNode<Payload>) => readonly Effect<Payload>[]): Open {
  return (config, hardState, log) => {
    const node = openRaftNode<Payload>(config, hardState, log)
    const changed = (effects: readonly Effect<Payload>[]): readonly Effect<Payload>[] =>
      effects.flatMap(effect => change(effect, node))
    return new Proxy(node, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...inputs: unknown[]) => {
          const result: unknown = Reflect.apply(value, target, inputs)
          if (Array.isArray(result)) return changed(result as Effect<Payload>[])
          const isOutcome = typeof result === 'object' && result !== null && 'effects' in result
          return isOutcome ? { ...result, effects: changed(result.effects as Effect<Payload>[]) } : result
        }
      }
    })
  }
}

const keep = { remove: () => undefined }

export const plantedBugs: readonly PlantedBug[] = [
  {
    title: 'a follower acknowledges entries that its disk does not have yet',
    plant: () => ({
      ...keep,
      open: wrapped((effect, node) => {
        const last = effect.kind === 'append' ? effect.entries.at(-1) : undefined
        if (last === undefined) return [effect]
        return [effect, ...node.appended({ index: lastIndexOf(last), term: last.term })]
      })
    })
  },
  {
    title: 'a vote is told before it is durable',
    plant: () => ({
      ...keep,
      open: wrapped((effect, node) =>
        effect.kind === 'saveHardState' ? [effect, ...node.hardStateSaved(effect.revision)] : [effect]
      )
    })
  },
  {
    title: 'a vote is forgotten in a crash',
    plant: () => ({
      ...keep,
      open: (config, hardState, log) => openRaftNode<Payload>(config, { ...hardState, votedFor: undefined }, log)
    })
  },
  {
    title: 'a follower acknowledges what is durable, whether it agrees with the leader or not',
    plant: () =>
      replaced(Replica.prototype, 'acknowledgedIndex', () => ({
        get(this: Replica<Payload>) {
          return this.log.durableIndex
        }
      }))
  },
  {
    title: 'a leader commits entries of former terms by counting',
    plant: () =>
      replaced(Leadership.prototype, 'committableIndex', () => ({
        value(this: Leadership, membership: Membership): Index {
          return committedIndex(membership, this.matchIndexOf)
        }
      }))
  },
  {
    title: 'a leader commits what most of the new voters hold while the membership is joint',
    plant: () =>
      replaced(Leadership.prototype, 'committableIndex', original => ({
        value(this: Leadership, membership: Membership, term: number): unknown {
          const { incoming: voters, learners } = { incoming: [], ...membership }
          const simple = membership.kind === 'simple' ? membership : { kind: 'simple', voters, learners }
          return Reflect.apply(original.value as (...inputs: unknown[]) => unknown, this, [simple, term])
        }
      }))
  },
  {
    title: 'votes are granted to candidates whose log is behind',
    plant: () => replaced(TermLog.prototype, 'isBehindOrEqual', () => ({ value: (_last: EntryId) => true }))
  },
  {
    title: 'votes are granted to the longest log instead of the latest term',
    plant: () =>
      replaced(TermLog.prototype, 'isBehindOrEqual', () => ({
        value(this: TermLog, last: EntryId): boolean {
          return last.index >= this.lastIndex
        }
      }))
  },
  {
    title: 'a truncated membership stays in force',
    plant: () => replaced(MembershipHistory.prototype, 'truncateFrom', () => ({ value: () => false }))
  },
  {
    title: 'truncation leaves the durable index where it was',
    plant: () =>
      replaced(TermLog.prototype, 'truncateFrom', original => ({
        value(this: TermLog, index: Index): void {
          const { durableIndex } = this
          Reflect.apply(original.value as (index: Index) => void, this, [index])
          this.durableIndex = durableIndex
        }
      }))
  },
  {
    title: 'a leader answers reads without asking whether it still leads',
    plant: () => ({
      ...keep,
      open: (config, hardState, log) => {
        const node = openRaftNode<Payload>(config, hardState, log)
        const read = node.readIndex.bind(node)
        node.readIndex = request =>
          node.roleKind === 'leader' ? [{ kind: 'readReady', request, index: node.commitIndex }] : read(request)
        return node
      }
    })
  },
  {
    title: 'a damaged replica acknowledges what it cannot read',
    plant: () =>
      replaced(Replica.prototype, 'acknowledgedIndex', () => ({
        get(this: Replica<Payload>) {
          return Math.min(this.log.durableIndex, this.agreedIndex)
        }
      }))
  }
]
