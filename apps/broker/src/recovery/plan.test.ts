import { describe, expect, it } from 'vitest'
import type { ReplicaReport } from '../replication/contract.ts'
import { planGroup, type GroupPlan, type Recoverable, type RecoverySubject } from './plan.ts'
import type { Survey } from './survey.ts'

const voters = (...ids: number[]) => ({ kind: 'simple', voters: ids, learners: [] }) as const

function report(brokerId: number, over: Partial<ReplicaReport> = {}): ReplicaReport {
  return {
    brokerId,
    replica: brokerId,
    state: 'sound',
    role: 'follower',
    follows: undefined,
    term: 7,
    last: { index: 101, term: 7 },
    commitIndex: 101,
    membership: voters(1000, 2000, 3000),
    startOffset: 0,
    endOffset: 100,
    committedOffset: 100,
    damaged: false,
    recovery: 0,
    ...over
  }
}

const subject = { unit: 'record' as const, recovered: 0, leadership: { leader: 1000, term: 9, inSync: [1000, 3000] } }

function plan(survey: Partial<Survey>, over: Partial<RecoverySubject> = {}): GroupPlan {
  return planGroup({ ...subject, ...over }, { reports: [], unreachable: [], silent: [], gone: [], ...survey })
}

function recoverable(survey: Partial<Survey>, over: Partial<RecoverySubject> = {}): Recoverable {
  const found = plan(survey, over)
  if (found.kind !== 'recoverable') throw new Error(JSON.stringify(found))
  return found
}

describe('a recovery plan', () => {
  it('is not made for a group with a leader or with enough replicas to elect one', () => {
    expect(plan({ reports: [report(1000), report(2000)], unreachable: [3000] }).kind).toBe('healthy')
    expect(plan({ reports: [report(1000, { role: 'leader' })], unreachable: [2000, 3000] }).kind).toBe('healthy')
  })

  it('waits for whoever is up and has said nothing, writes, follows somebody, or is behind a recovery', () => {
    const unreachable = [1000, 2000]
    const reasons = [
      plan({ reports: [report(3000)], unreachable: [1000], silent: [2000] }),
      plan({ reports: [report(3000, { state: 'writing' })], unreachable }),
      plan({ reports: [report(3000, { follows: 1000 })], unreachable }),
      plan({ reports: [report(3000)], unreachable }, { recovered: 1 })
    ].map(found => (found.kind === 'blocked' ? found.reason : found.kind))
    expect(reasons).toEqual([
      'broker 2000 is up and has not said yet what it holds: wait for it, or stop it',
      'broker 3000 is still writing what it holds: ask again',
      'broker 3000 can reach its leader, broker 1000: ask that node, or wait',
      'broker 3000 is about to carry out recovery 1: ask again'
    ])
  })

  it('says who goes on, in which term, whom that gives up, and what stays', () => {
    expect(recoverable({ reports: [report(3000)], unreachable: [1000, 2000] })).toMatchObject({
      recovery: 1,
      term: 1009,
      survivor: 3000,
      lost: [1000, 2000],
      unusable: [],
      kept: { startOffset: 0, endOffset: 100 },
      knownCommittedOffset: 100,
      lastLeader: { brokerId: 1000, leaderEpoch: 9, inSync: [1000, 3000] }
    })
  })

  it('tells what is kept, what may be lost and what the last leader said, in words', () => {
    const { words } = recoverable({ reports: [report(3000, { committedOffset: 97 })], unreachable: [1000, 2000] })
    expect(words).toEqual([
      'Kept: offsets 0 to 99, which broker 3000 holds.',
      'It is not known whether offsets 97 to 99 were committed: a replica that was restarted knows little.',
      'May be lost: whatever brokers 1000 and 2000 acknowledged from offset 100 on. How much that is cannot be known without them.',
      'Broker 1000 led last, as far as is known here, in epoch 9, and said that broker 3000 was in sync: what is missing is what was written last.',
      'Should brokers 1000 and 2000 come back, what they hold is dropped: copy their data folders before, if you want to look.',
      'The leader epoch rises above 1009; consumers beyond offset 100 are told that the log ended there.',
      'Producers that were not answered may send again what is kept already.'
    ])
    const left = { reports: [report(3000, { committedOffset: 97 })], unreachable: [1000, 2000] }
    expect(recoverable(left, { unit: 'command' }).words).toEqual(words.slice(0, -2))
  })

  it('says when committed records are lost for certain: somebody knows of them and nobody holds them', () => {
    const { words } = recoverable({ reports: [report(3000, { committedOffset: 120 })], unreachable: [1000, 2000] })
    expect(words).toContain('Lost for certain: offsets 100 to 119, committed and held by nobody who is left.')
    expect(words.join(' ')).toMatch(/acknowledged from offset 120 on/)
    const failed = report(1000, { state: 'failed', committedOffset: 111, endOffset: 90 })
    const known = recoverable({ reports: [report(3000), failed], unreachable: [2000] })
    expect(known.knownCommittedOffset).toBe(111)
    expect(known.words.join(' ')).toMatch(/Lost for certain: offsets 100 to 110, /)
  })

  it('says when the survivor was not in sync, holds nothing, or holds what cannot be read', () => {
    const behind = { leadership: { leader: 1000, term: 9, inSync: [1000, 2000] } }
    const empty = { damaged: true, startOffset: 40, endOffset: 40, committedOffset: 40 }
    const { words } = recoverable({ reports: [report(3000, empty)], unreachable: [1000, 2000] }, behind)
    expect(words[0]).toBe('Nothing is kept: the log of broker 3000 is empty at offset 40.')
    expect(words.join(' ')).toMatch(/did not count broker 3000 as in sync: something acknowledged is missing/)
    expect(words.join(' ')).toMatch(/Some of what broker 3000 holds cannot be read/)
  })

  it('counts nobody as left whose disk failed or who lost what it held, and says so', () => {
    const reports = [
      report(3000),
      report(1000, { state: 'failed' }),
      report(2000, { state: 'void', membership: undefined })
    ]
    expect(recoverable({ reports })).toMatchObject({
      survivor: 3000,
      lost: [],
      unusable: [
        { brokerId: 1000, reason: 'its disk failed' },
        { brokerId: 2000, reason: 'it lost what it held and waits to be let in anew' }
      ]
    })
    expect(plan({ reports: reports.slice(1), unreachable: [3000] })).toEqual({
      kind: 'hopeless',
      reason:
        'nobody is left to go on from: brokers 3000 cannot be reached; the disks of brokers 1000 failed; the others hold nothing of their own'
    })
  })

  it('goes on from the most up-to-date of several, and says that the others copy it', () => {
    const five = voters(1000, 2000, 3000, 4000, 5000)
    const reports = [
      report(3000, { membership: five }),
      report(4000, { membership: five, last: { index: 140, term: 7 }, endOffset: 139 })
    ]
    const found = recoverable({ reports, unreachable: [1000, 2000, 5000] })
    expect(found.survivor).toBe(4000)
    expect(found.words).toContain('What broker 3000 holds is dropped and copied from broker 4000.')
  })
})
