/**
 * Reads record batches, for consumers and followers. Sessions since version 7 (KIP-227), topic ids since 13
 * (KIP-516), leader hints since 16 (KIP-951).
 */
import { api, array, int16, int32, int64, int8, records, string, struct, uuid } from '../schema.ts'

export const fetch = api({
  key: 1,
  name: 'Fetch',
  versions: '0-18',
  flexible: '12+',
  request: {
    clusterId: string('12+').nullable().tagged(0).default(null).ignorable(),
    replicaId: int32('0-14').default(-1),
    replicaState: struct('15+', {
      replicaId: int32('15+').default(-1),
      replicaEpoch: int64('15+').default(-1n)
    }).tagged(1),
    maxWaitMs: int32('0+'),
    minBytes: int32('0+'),
    maxBytes: int32('3+').default(0x7fffffff).ignorable(),
    isolationLevel: int8('4+').default(0).ignorable(),
    sessionId: int32('7+').default(0).ignorable(),
    sessionEpoch: int32('7+').default(-1).ignorable(),
    topics: array('0+', {
      topic: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array('0+', {
        partition: int32('0+'),
        currentLeaderEpoch: int32('9+').default(-1).ignorable(),
        fetchOffset: int64('0+'),
        lastFetchedEpoch: int32('12+').default(-1),
        logStartOffset: int64('5+').default(-1n).ignorable(),
        partitionMaxBytes: int32('0+'),
        replicaDirectoryId: uuid('17+').tagged(0).ignorable(),
        highWatermark: int64('18+').tagged(1).default(9223372036854775807n).ignorable()
      })
    }),
    forgottenTopicsData: array('7+', {
      topic: string('7-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array('7+', int32)
    }),
    rackId: string('11+').default('').ignorable()
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    errorCode: int16('7+').ignorable(),
    sessionId: int32('7+').default(0),
    responses: array('0+', {
      topic: string('0-12').ignorable(),
      topicId: uuid('13+').ignorable(),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        highWatermark: int64('0+'),
        lastStableOffset: int64('4+').default(-1n).ignorable(),
        logStartOffset: int64('5+').default(-1n).ignorable(),
        divergingEpoch: struct('12+', {
          epoch: int32('12+').default(-1),
          endOffset: int64('12+').default(-1n)
        }).tagged(0),
        currentLeader: struct('12+', {
          leaderId: int32('12+').default(-1),
          leaderEpoch: int32('12+').default(-1)
        }).tagged(1),
        snapshotId: struct('12+', {
          endOffset: int64('0+').default(-1n),
          epoch: int32('0+').default(-1)
        }).tagged(2),
        abortedTransactions: array('4+', {
          producerId: int64('4+'),
          firstOffset: int64('4+')
        })
          .nullable()
          .ignorable(),
        preferredReadReplica: int32('11+').default(-1),
        records: records('0+').nullable()
      })
    }),
    nodeEndpoints: array('16+', {
      nodeId: int32('16+'),
      host: string('16+'),
      port: int32('16+'),
      rack: string('16+').nullable().default(null)
    }).tagged(0)
  }
})
