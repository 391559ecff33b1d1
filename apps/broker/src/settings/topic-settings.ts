/**
 * The settings of a topic: every key of Kafka 4.3's TopicConfig, with Kafka's defaults and checks.
 *
 * All of them are validated, stored and echoed, so that infrastructure tools see no drift. `effect: 'effective'` marks those
 * that change what this broker does today; the documentation of the others says what they will mean.
 */
import { boolean, double, integer, list, long, LONG_MAX, string, type ValuesOf } from './definition.ts'

/** Smallest segment that Kafka accepts (since 4.0). */
const SEGMENT_BYTES_MIN = 1024 * 1024

const NEVER_UNCLEAN =
  'Leaders that may lack acknowledged records are never elected automatically; an operator recovers such partitions through the admin API (GET /v1/recovery)'

export const topicSettings = {
  'cleanup.policy': list(['delete'], {
    oneOf: ['compact', 'delete'],
    doc: 'What happens to old data: delete, compact, both, or nothing (empty). Retention and compaction do not run yet.',
    stored: true
  }),
  'compression.gzip.level': integer(-1, {
    check: gzipLevelProblem,
    doc: 'Level at which compression.type=gzip compresses, -1 for the default of gzip.'
  }),
  'compression.lz4.level': integer(9, {
    min: 1,
    max: 17,
    doc: 'Level for lz4. Its compressor here has only one.',
    stored: true
  }),
  'compression.type': string('producer', {
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    doc: 'Codec of stored batches. Other than producer costs CPU: batches in other codecs are compressed again.'
  }),
  'compression.zstd.level': integer(3, {
    min: -131072,
    max: 22,
    doc: 'Level at which compression.type=zstd compresses.'
  }),
  'delete.retention.ms': long(86_400_000n, {
    unit: 'ms',
    min: 0,
    doc: 'How long tombstones stay readable.',
    stored: true
  }),
  'file.delete.delay.ms': long(60_000n, {
    unit: 'ms',
    min: 0,
    doc: 'Wait before files are removed. Files go at once: no reader holds them.',
    stored: true
  }),
  'flush.messages': long(LONG_MAX, {
    unit: 'count',
    min: 1,
    doc: 'Records between flushes. Every acknowledged record is already durable.',
    stored: true
  }),
  'flush.ms': long(LONG_MAX, {
    unit: 'ms',
    min: 0,
    doc: 'Time between flushes. Every acknowledged record is already durable.',
    stored: true
  }),
  'follower.replication.throttled.replicas': list([], {
    check: value => throttledReplicasProblem('follower.replication.throttled.replicas', value),
    doc: 'Replicas whose catching up is limited to follower.replication.throttled.rate of their broker: partition:broker, comma separated, or * for all.'
  }),
  'index.interval.bytes': integer(4096, { unit: 'bytes', min: 0, doc: 'Bytes between entries of the sparse index.' }),
  'leader.replication.throttled.replicas': list([], {
    check: value => throttledReplicasProblem('leader.replication.throttled.replicas', value),
    doc: 'Replicas that, when they lead, send to those that catch up within leader.replication.throttled.rate of their broker: partition:broker, comma separated, or * for all.'
  }),
  'local.retention.bytes': long(-2n, {
    unit: 'bytes',
    min: -2,
    doc: 'Local part of a tiered log; -2: retention.bytes.',
    stored: true
  }),
  'local.retention.ms': long(-2n, {
    unit: 'ms',
    min: -2,
    doc: 'Local part of a tiered log; -2: retention.ms.',
    stored: true
  }),
  'max.compaction.lag.ms': long(LONG_MAX, {
    unit: 'ms',
    min: 1,
    doc: 'Longest time a record stays uncompacted.',
    stored: true
  }),
  'max.message.bytes': integer(1_048_588, { unit: 'bytes', min: 0, doc: 'Largest record batch, compressed.' }),
  'message.timestamp.after.max.ms': long(3_600_000n, {
    unit: 'ms',
    min: 0,
    doc: 'How far a record timestamp may be ahead of the broker clock (CreateTime only).'
  }),
  'message.timestamp.before.max.ms': long(LONG_MAX, {
    unit: 'ms',
    min: 0,
    doc: 'How far a record timestamp may be behind the broker clock (CreateTime only).'
  }),
  'message.timestamp.type': string('CreateTime', {
    oneOf: ['CreateTime', 'LogAppendTime'],
    doc: 'Whose clock stamps the records: the producer (CreateTime) or the broker (LogAppendTime).'
  }),
  'min.cleanable.dirty.ratio': double(0.5, {
    min: 0,
    max: 1,
    doc: 'Uncompacted share that starts compaction.',
    stored: true
  }),
  'min.compaction.lag.ms': long(0n, {
    unit: 'ms',
    min: 0,
    doc: 'Shortest time a record stays uncompacted.',
    stored: true
  }),
  'min.insync.replicas': integer(1, {
    unit: 'count',
    min: 1,
    doc: 'Replicas that must hold a record before acks=all is answered; never more than a partition has.'
  }),
  preallocate: boolean(false, { doc: 'Preallocate segments. Segments always are, in steps.', stored: true }),
  'remote.log.copy.disable': boolean(false, { doc: 'Stop copying to the remote tier.', stored: true }),
  'remote.log.delete.on.disable': boolean(false, { doc: 'Delete remote data when tiering is disabled.', stored: true }),
  'remote.storage.enable': boolean(false, { doc: 'Tiered storage. Not there yet.', stored: true }),
  'retention.bytes': long(-1n, {
    unit: 'bytes',
    doc: 'Bytes a partition keeps; negative for all. Not enforced yet.',
    stored: true
  }),
  'retention.ms': long(604_800_000n, {
    unit: 'ms',
    min: -1,
    doc: 'How long records are kept. Not enforced yet.',
    stored: true
  }),
  'segment.bytes': integer(134_217_728, {
    unit: 'bytes',
    min: SEGMENT_BYTES_MIN,
    doc: 'Size at which a segment file is sealed. Smaller than in Kafka (1 GiB) so that retention can be finer.'
  }),
  'segment.index.bytes': integer(10_485_760, {
    unit: 'bytes',
    min: 4,
    doc: 'Size of an index file. Indexes grow as needed.',
    stored: true
  }),
  'segment.jitter.ms': long(0n, { unit: 'ms', min: 0, doc: 'Random part of segment.ms.', stored: true }),
  'segment.ms': long(604_800_000n, { unit: 'ms', min: 1, doc: 'Age at which a segment file is sealed.' }),
  'unclean.leader.election.enable': boolean(false, {
    doc: 'Only false: a leader that may lack acknowledged data is never made by itself, only by an operator (GET /v1/recovery).',
    check: value => (value ? NEVER_UNCLEAN : undefined)
  })
} as const

export type TopicSettings = ValuesOf<typeof topicSettings>
export type TopicSettingName = keyof typeof topicSettings

/** Broker settings that give a topic setting its default (Kafka's synonyms that this broker has). */
export const topicSettingSynonyms: Partial<Record<TopicSettingName, string>> = {
  'compression.gzip.level': 'compression.gzip.level',
  'compression.type': 'compression.type',
  'compression.zstd.level': 'compression.zstd.level',
  'index.interval.bytes': 'log.index.interval.bytes',
  'max.message.bytes': 'message.max.bytes',
  'message.timestamp.after.max.ms': 'log.message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms': 'log.message.timestamp.before.max.ms',
  'message.timestamp.type': 'log.message.timestamp.type',
  'min.insync.replicas': 'min.insync.replicas',
  'segment.bytes': 'log.segment.bytes',
  'segment.ms': 'log.roll.ms'
}

/** Why gzip has no such level. */
export function gzipLevelProblem(level: number): string | undefined {
  return level === -1 || (level >= 1 && level <= 9) ? undefined : 'Value must be between 1 and 9 or equal to -1'
}

/** Elements of the lists of throttled replicas. */
const THROTTLED_REPLICA = /^\d+:\d+$/

function throttledReplicasProblem(name: string, replicas: readonly string[]): string | undefined {
  if ((replicas.length === 1 && replicas[0] === '*') || replicas.every(one => THROTTLED_REPLICA.test(one))) {
    return undefined
  }
  return `${name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...`
}
