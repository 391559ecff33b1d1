/**
 * Asks the shards that should hold replicas of some groups what is left of them. Every shard serves it; nothing changes by it.
 */
import { MeshError } from '@milena/shard-scheduler'
import type { ShardCalls } from '../cluster/peers/shard-calls.ts'
import type { ReplicaHost, ReplicaReport } from '../replication/contract.ts'
import { brokerOf } from '../replication/kept/replica-ids.ts'

const SURVEY_SERVICE = 'partition.survey'
/** How long a shard may take to answer, ms. */
const SURVEY_DEADLINE_MS = 1_500

/** What is known of one group. */
export interface Survey {
  readonly reports: readonly ReplicaReport[]
  /** Brokers that cannot be reached. */
  readonly unreachable: readonly number[]
  /** Brokers that are linked and did not answer in time, or have not opened the replica that is placed there. */
  readonly silent: readonly number[]
  /** Brokers that vote by the log of another, are up, and have no replica any more. */
  readonly gone: readonly number[]
}

/** A group and the brokers that should have a replica of it. */
export interface Surveyed {
  readonly group: string
  readonly hosts: readonly number[]
}

export interface SurveyOptions {
  readonly calls: ShardCalls
  readonly isReachable: (brokerId: number) => boolean
}

/** The answering side. */
export function serveSurvey(calls: ShardCalls, replicas: ReplicaHost): void {
  calls.serve(SURVEY_SERVICE, ({ groups }: { groups: string[] }) =>
    Promise.resolve(Object.fromEntries(replicas.report(groups)))
  )
}

/** Asks twice: who should have a replica, then who else votes by what those say. One call a broker and round. */
export async function survey(subjects: readonly Surveyed[], options: SurveyOptions): Promise<Map<string, Survey>> {
  const placed = await ask(subjects, options)
  const others = subjects.flatMap(({ group, hosts }) => {
    const strangers = votersKnown(placed.reports.get(group) ?? []).filter(id => !hosts.includes(id))
    return strangers.length === 0 ? [] : [{ group, hosts: strangers }]
  })
  const voting = await ask(others, options)
  return new Map(
    subjects.map(({ group, hosts }) => {
      const reports = [...(placed.reports.get(group) ?? []), ...(voting.reports.get(group) ?? [])]
      const strangers = others.find(other => other.group === group)?.hosts ?? []
      const without = (ids: readonly number[]): number[] => {
        return ids.filter(id => !reports.some(({ brokerId }) => brokerId === id))
      }
      const { isReachable } = options
      return [
        group,
        {
          reports,
          unreachable: without([...hosts, ...strangers]).filter(id => !isReachable(id)),
          silent: [
            ...without(hosts).filter(id => isReachable(id)),
            ...without(strangers).filter(id => isReachable(id) && voting.silent.has(id))
          ],
          gone: without(strangers).filter(id => isReachable(id) && !voting.silent.has(id))
        }
      ]
    })
  )
}

interface Answers {
  readonly reports: Map<string, ReplicaReport[]>
  /** Brokers that were asked and did not answer. */
  readonly silent: ReadonlySet<number>
}

async function ask(subjects: readonly Surveyed[], { calls, isReachable }: SurveyOptions): Promise<Answers> {
  const byBroker = new Map<number, string[]>()
  for (const { group, hosts } of subjects) {
    for (const id of hosts) if (isReachable(id)) byBroker.set(id, [...(byBroker.get(id) ?? []), group])
  }
  const reports = new Map<string, ReplicaReport[]>()
  const silent = new Set<number>()
  await Promise.all(
    [...byBroker].map(async ([broker, groups]) => {
      try {
        const request = { groups }
        const answer = await calls.call<Record<string, ReplicaReport>>(
          broker,
          SURVEY_SERVICE,
          request,
          SURVEY_DEADLINE_MS
        )
        for (const [group, report] of Object.entries(answer)) {
          reports.set(group, [...(reports.get(group) ?? []), report])
        }
      } catch (error) {
        if (!(error instanceof MeshError)) throw error
        silent.add(broker)
      }
    })
  )
  return { reports, silent }
}

function votersKnown(reports: readonly ReplicaReport[]): number[] {
  const ids = reports.flatMap(({ membership }) => {
    if (membership === undefined) return []
    return membership.kind === 'simple' ? membership.voters : [...membership.incoming, ...membership.outgoing]
  })
  return [...new Set(ids.map(brokerOf))]
}
