/**
 * The settings of a broker: Kafka's names where Kafka has the setting, otherwise a name of our own with its unit in the text.
 *
 * They come from, each overriding the one before: defaults, a YAML file (`--config`), `-o key=value`, and the short options of
 * `milena start`. Unknown names and illegal values stop the start with a message that names every one of them. Those that are
 * marked `dynamic` can be changed later, for one broker or for all (dynamic-settings.ts).
 */
import { boolean, integer, list, long, LONG_MAX, string, type ValuesOf } from './definition.ts'
import { gzipLevelProblem } from './topic-settings.ts'

const MIB = 1024 * 1024

export const brokerSettings = {
  'node.id': integer(-1, {
    min: -1,
    max: 2_000_000,
    doc: 'Number of this machine in the cluster, -1 for automatic: its place among the seeds, or what the cluster gives it. Shard s is Kafka broker node.id * 1000 + s.'
  }),
  seeds: list([], {
    doc: 'host:port of the rpc listeners of the nodes that form the cluster, the same list in the same order on all of them. Nodes that are not in the list join. Empty: a cluster of one node.'
  }),
  'rpc.listener': string('', {
    doc: 'host:port on which other nodes reach this one; shard i listens on port + i. Empty: in a cluster port 33145 of the host of the first listener, nothing on a node that is alone.'
  }),
  'advertised.rpc.listener': string('', {
    doc: 'host:port that other nodes are told instead of rpc.listener. Empty: rpc.listener, with the host name when that is on all interfaces.'
  }),
  'broker.rack': string('', { doc: 'Rack or zone of this machine, empty for none.' }),
  'num.shards': integer(0, {
    min: 0,
    max: 256,
    unit: 'count',
    doc: 'Shards (pinned processes), 0 for one per core. A data folder keeps the number it began with or more.'
  }),
  'log.dirs': string('./data', { doc: 'The data folder. One folder.' }),

  listeners: list(['PLAINTEXT://127.0.0.1:9092'], {
    doc: 'NAME://host:port, comma separated; an empty host means all interfaces. With shard addressing, shard i listens on port + i.'
  }),
  'advertised.listeners': list([], {
    doc: 'NAME://host:port that clients are told instead of the address they dialled. With shard addressing, port + i.'
  }),
  addressing: string('shard', {
    oneOf: ['shard', 'node'],
    doc: 'shard: every shard is a Kafka broker with a port of its own, clients connect straight to the core that owns their partition. node: one broker on one port, requests are forwarded between cores.'
  }),
  'advertised.gateway.host': string('', {
    doc: 'Host that is advertised to clients whose packets come from the default gateway of this (container) network, which is how a client on a container host is seen. Empty: no special treatment.'
  }),
  'admin.listener': string('127.0.0.1:9644', { doc: 'host:port of the admin HTTP API; port -1 switches it off.' }),

  'auto.create.topics.enable': boolean(true, {
    doc: 'Create a topic when a client asks for the metadata of one that does not exist.'
  }),
  'num.partitions': integer(1, {
    min: 1,
    max: 100_000,
    unit: 'count',
    doc: 'Partitions of a new topic when the request leaves it open.'
  }),
  'default.replication.factor': integer(0, {
    min: 0,
    max: 32_767,
    unit: 'count',
    doc: 'Replicas of a new topic when the request leaves it open; 0: as many as there are nodes, at most 3. Counts nodes, not shards.'
  }),
  'replica.lag.time.max.ms': integer(30_000, {
    min: 1,
    unit: 'ms',
    doc: 'A follower that has not held all that its leader has for this long is not in sync.'
  }),
  'replica.selector.class': string('', {
    oneOf: ['', 'org.apache.kafka.common.replica.RackAwareReplicaSelector'],
    doc: 'Where consumers that say their rack read from (KIP-392): the leader (empty), or an in-sync replica in their rack.'
  }),
  'auto.leader.rebalance.enable': boolean(true, {
    dynamic: 'cluster',
    doc: 'Hand leadership back to preferred leaders.'
  }),
  'leader.imbalance.check.interval.seconds': integer(30, {
    min: 1,
    doc: 'Seconds between two looks at whether preferred leaders lead.'
  }),
  'partition.balancer.enable': boolean(true, {
    dynamic: 'cluster',
    doc: 'Move replicas from loaded shards and decommissioned nodes to others.'
  }),
  'partition.balancer.moves.max': integer(20, {
    min: 1,
    max: 10_000,
    unit: 'count',
    doc: 'Partitions that the balancer moves at the same time.'
  }),
  'delete.topic.enable': boolean(true, { doc: 'Allow DeleteTopics.' }),
  'partitions.per.shard.max': integer(20_000, {
    min: 1,
    max: 1_000_000,
    unit: 'count',
    doc: 'Partitions that one shard accepts; creating more is refused with the number.'
  }),

  'min.insync.replicas': integer(1, {
    min: 1,
    unit: 'count',
    dynamic: 'broker',
    doc: 'Default of the topic setting of that name.'
  }),
  'message.max.bytes': integer(1_048_588, {
    min: 0,
    unit: 'bytes',
    dynamic: 'broker',
    doc: 'Default of max.message.bytes.'
  }),
  'compression.type': string('producer', {
    oneOf: ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'],
    dynamic: 'broker',
    doc: 'Default of the topic setting of that name.'
  }),
  'compression.gzip.level': integer(-1, {
    check: gzipLevelProblem,
    dynamic: 'broker',
    doc: 'Default of the topic setting of that name.'
  }),
  'compression.zstd.level': integer(3, {
    min: -131072,
    max: 22,
    dynamic: 'broker',
    doc: 'Default of the topic setting of that name.'
  }),
  'log.segment.bytes': integer(128 * MIB, {
    min: MIB,
    unit: 'bytes',
    dynamic: 'broker',
    doc: 'Default of segment.bytes.'
  }),
  'log.roll.ms': long(604_800_000n, { min: 1, unit: 'ms', dynamic: 'broker', doc: 'Default of segment.ms.' }),
  'log.index.interval.bytes': integer(4096, {
    min: 0,
    unit: 'bytes',
    dynamic: 'broker',
    doc: 'Default of index.interval.bytes.'
  }),
  'log.message.timestamp.type': string('CreateTime', {
    dynamic: 'broker',
    oneOf: ['CreateTime', 'LogAppendTime'],
    doc: 'Default of message.timestamp.type.'
  }),
  'log.message.timestamp.before.max.ms': long(LONG_MAX, {
    dynamic: 'broker',
    min: 0,
    unit: 'ms',
    doc: 'Default of message.timestamp.before.max.ms.'
  }),
  'log.message.timestamp.after.max.ms': long(3_600_000n, {
    dynamic: 'broker',
    min: 0,
    unit: 'ms',
    doc: 'Default of message.timestamp.after.max.ms.'
  }),
  'producer.id.expiration.ms': integer(86_400_000, {
    min: 1,
    unit: 'ms',
    dynamic: 'broker',
    doc: 'How long the state of an idle idempotent producer is kept.'
  }),

  'disk.engine': string('auto', {
    oneOf: ['auto', 'io_uring', 'threads'],
    doc: 'How the disk is driven; auto takes io_uring where it works.'
  }),
  'store.memory.bytes': integer(48 * MIB, {
    min: 16 * MIB,
    unit: 'bytes',
    doc: 'Memory of a shard for appends in flight, tail cache and read-ahead. Taken once.'
  }),
  'journal.bytes': integer(64 * MIB, {
    min: 8 * MIB,
    unit: 'bytes',
    doc: 'Size of a shard journal. More of it means rarer destaging and a longer recovery.'
  }),

  'log.scrub.interval.ms': long(604_800_000n, {
    min: 0,
    unit: 'ms',
    dynamic: 'broker',
    doc: 'Time from the beginning of one pass over all logs of a shard, which reads and verifies what is on its disk, to the beginning of the next; 0: never. Kafka has no such thing.'
  }),
  'log.scrub.io.max.bytes.per.second': integer(8 * MIB, {
    min: 64 * 1024,
    unit: 'bytes',
    dynamic: 'broker',
    doc: 'Bytes that a shard reads for that in a second, at most; less while it is busy or its disk slow.'
  }),

  'socket.request.max.bytes': integer(104_857_600, { min: 1024, unit: 'bytes', doc: 'Largest request frame.' }),
  'queued.max.request.bytes': integer(64 * MIB, {
    min: MIB,
    unit: 'bytes',
    doc: 'Request bytes in flight on a shard before it stops reading from sockets.'
  }),
  'max.connections': integer(10_000, {
    min: 1,
    unit: 'count',
    dynamic: 'broker',
    doc: 'Connections a shard accepts.'
  }),
  'max.connections.per.ip': integer(10_000, {
    min: 1,
    dynamic: 'broker',
    unit: 'count',
    doc: 'Connections a shard accepts from one address.'
  }),
  'connections.max.idle.ms': integer(600_000, {
    min: 1000,
    unit: 'ms',
    doc: 'Idle connections are closed after this time.'
  }),
  'fetch.max.bytes': integer(57_671_680, { min: 1024, unit: 'bytes', doc: 'Largest answer to a fetch request.' }),
  'max.incremental.fetch.session.cache.slots': integer(1000, {
    min: 0,
    unit: 'count',
    doc: 'Incremental fetch sessions kept per shard (KIP-227).'
  }),

  'log.level': string('info', {
    oneOf: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    doc: 'Least severe log level written.'
  }),
  'stall.threshold.ms': integer(25, { min: 1, unit: 'ms', doc: 'Event-loop stalls from this length on are logged.' }),
  'shard.pinning': boolean(true, { doc: 'Pin every shard process to a core.' })
} as const

export type BrokerSettings = ValuesOf<typeof brokerSettings>
export type BrokerSettingName = keyof typeof brokerSettings
