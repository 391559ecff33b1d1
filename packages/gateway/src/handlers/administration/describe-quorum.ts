/**
 * DescribeQuorum: the controller's Raft group, its leader and how far its members have got (KIP-595, KIP-836, KIP-853). Kafka
 * calls its log `__cluster_metadata`, and there is nothing else that has a quorum in Kafka's sense.
 */
import {
  apis,
  errorCode,
  type ErrorName,
  errorMessage,
  type RequestOf,
  type ResponseInput
} from '@milena/wire-protocol'
import type { Handler, RequestContext } from '../../handler.ts'
import type { AdministrationPort, QuorumMember, QuorumView } from '../../ports.ts'
import { METADATA_TOPIC } from '../../topic-names.ts'

type Request = RequestOf<typeof apis.describeQuorum>
type Response = ResponseInput<typeof apis.describeQuorum>
type Member = NonNullable<
  NonNullable<NonNullable<NonNullable<Response['topics']>[number]['partitions']>[number]['observers']>[number]
>

/** Brought ids of data folders, texts of errors and addresses. */
const DIRECTORY_IDS_FROM = 2

export function describeQuorumHandler(administration: AdministrationPort): Handler<typeof apis.describeQuorum> {
  return {
    api: apis.describeQuorum,
    versions: { min: 0, max: 2 },
    async handle(context, request) {
      if (request.topics.length === 0) return {}
      if (!asksForMetadata(request)) return notThere(request)
      const quorum = await administration.describeQuorum()
      return quorum.kind === 'refused' ? refused(quorum.error, quorum.message) : describe(context, quorum)
    },
    refuse: (_context, _request, error) => refused(error, null)
  }
}

/** Kafka answers for this one partition alone, and for nothing at all when others are named beside it. */
function asksForMetadata({ topics }: Request): boolean {
  const [topic, ...others] = topics
  const partitions = topic?.partitions ?? []
  const onlyFirst = partitions.length === 1 && partitions[0]?.partitionIndex === 0
  return others.length === 0 && topic?.topicName === METADATA_TOPIC && onlyFirst
}

function describe(context: RequestContext, quorum: Extract<QuorumView, { kind: 'done' }>): Response {
  const detailed = context.apiVersion >= DIRECTORY_IDS_FROM
  const { leaderId, leaderEpoch, highWatermark } = quorum
  const partition = {
    partitionIndex: 0,
    leaderId,
    leaderEpoch,
    highWatermark,
    currentVoters: quorum.voters.map(voter => describeMember(voter, detailed)),
    observers: quorum.observers.map(observer => describeMember(observer, detailed))
  }
  return {
    topics: [{ topicName: METADATA_TOPIC, partitions: [partition] }],
    nodes: detailed ? quorum.nodes : []
  }
}

function describeMember(member: QuorumMember, detailed: boolean): Member {
  const { replicaId, directoryId, logEndOffset, lastFetchMs, lastCaughtUpMs } = member
  const common = { replicaId, logEndOffset, lastFetchTimestamp: lastFetchMs, lastCaughtUpTimestamp: lastCaughtUpMs }
  return detailed ? { ...common, replicaDirectoryId: directoryId } : common
}

function notThere({ topics }: Request): Response {
  const error = 'UNKNOWN_TOPIC_OR_PARTITION'
  const told = { errorCode: errorCode(error), errorMessage: errorMessage(error) }
  return {
    topics: topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, ...told }))
    }))
  }
}

function refused(error: ErrorName, message: string | null): Response {
  return { errorCode: errorCode(error), errorMessage: message ?? errorMessage(error) }
}
