/**
 * The rows of the comparison: what is run, which figures come of it, and what Milena must reach. To add a row, add an entry here.
 *
 * Rows of one block share a broker that was started and warmed up for the block; they run in the order of this list. Each row
 * that writes uses a topic of its own, and what was written is read back and checked record by record.
 */
import { costs, type Sample, type Stage, type Variant } from './stage.ts'

/** How much work a row does. */
export interface Scale {
  /** Records of 1 KiB per produce run. */
  readonly records1k: number
  /** Records of 100 bytes per produce run. */
  readonly records100: number
  /** Records of 1 KiB per produce run on a cluster. */
  readonly clusterRecords: number
  readonly tailPasses: number
  readonly rateSeconds: number
  readonly rateWarmupSeconds: number
  /** Records of 1 KiB that a broker has taken before its throughput is measured. */
  readonly warmUpRecords: number
  /** Records of 1 KiB in the folder of the start-up row. */
  readonly bigRecords: number
}

export const fullScale: Scale = {
  records1k: 1_000_000,
  records100: 5_000_000,
  clusterRecords: 250_000,
  tailPasses: 32,
  rateSeconds: 20,
  rateWarmupSeconds: 5,
  warmUpRecords: 4_000_000,
  bigRecords: 10 * 1024 * 1024
}

export const quickScale: Scale = {
  records1k: 250_000,
  records100: 1_000_000,
  clusterRecords: 60_000,
  tailPasses: 8,
  rateSeconds: 6,
  rateWarmupSeconds: 2,
  warmUpRecords: 1_000_000,
  bigRecords: 256 * 1024
}

/** A figure of a row as a line of the table. */
export interface Line {
  readonly metric: string
  readonly label: string
  readonly digits: number
  /** The side of the goals that is good. */
  readonly better: 'more' | 'less'
  /** Milena's figure divided by that of the variant must be at least (more) or at most (less) this. */
  readonly goals?: Partial<Record<'kafka' | 'kafkaFlush', number>>
  /** Milena's figure itself must be at most this. */
  readonly limit?: number
}

/** Rows that share a freshly started system, and how many nodes that has. */
export const blocks = { throughput: 1, latency: 1, cluster: 3, big: 1 } as const

export type Block = keyof typeof blocks

export interface Row {
  readonly id: string
  readonly title: string
  readonly block: Block
  readonly variants: readonly Variant[]
  readonly lines: readonly Line[]
  run(stage: Stage, variant: Variant, scale: Scale, name: string): Promise<Sample>
}

const cpuLine: Line = { metric: 'cpu_s_per_gb', label: 'broker CPU s/GB', digits: 2, better: 'less' }
const mbLine: Line = { metric: 'mb_s', label: 'MB/s', digits: 0, better: 'more' }
const memoryLine: Line = { metric: 'rss_mb', label: 'resident, all nodes, MB', digits: 0, better: 'less' }
const recordsLine: Line = { metric: 'records_s', label: 'records/s', digits: 0, better: 'more' }

/** Kafka's topic setting that makes it fsync every batch before it answers. */
const topicSettings = (variant: Variant): string[] => (variant === 'kafkaFlush' ? ['-config', 'flush.messages=1'] : [])

/** Records of 1 KiB that fit the tail caches with room to spare. */
const tailRecords = 32 * 1024

/** As many as there are nodes. */
const replicas = (stage: Stage): string[] => (stage.nodeCount > 1 ? ['-rf', `${stage.nodeCount}`] : [])

async function produce(stage: Stage, variant: Variant, topic: string, records: number, bytes: number): Promise<Sample> {
  const shape = ['-t', topic, '-n', `${records}`, '-s', `${bytes}`, ...replicas(stage)]
  const written = await stage.load('produce', [...shape, '-acks', 'all', ...topicSettings(variant)])
  const { mb_s, records_s } = written.report
  return { metrics: { mb_s, records_s, ...costs(written.usage, written.report.bytes) }, problems: written.problems }
}

async function consume(stage: Stage, topic: string, records: number, bytes: number, passes = 1): Promise<Sample> {
  const read = await stage.load('consume', [
    '-t',
    topic,
    '-n',
    `${records}`,
    '-s',
    `${bytes}`,
    '-passes',
    `${passes}`,
    '-within',
    '20s'
  ])
  const { mb_s, records_s } = read.report
  return { metrics: { mb_s, records_s, ...costs(read.usage, read.report.bytes) }, problems: read.problems }
}

/** What was produced must be there: the figures are those of the first sample, the problems of both. */
async function checked(written: Sample, read: Promise<Sample>): Promise<Sample> {
  return { metrics: written.metrics, problems: [...written.problems, ...(await read).problems] }
}

async function openLoop(
  stage: Stage,
  variant: Variant,
  scale: Scale,
  topic: string,
  partitions: number,
  recordsPerSecond = 10_000
): Promise<Sample> {
  const time = [
    '-r',
    `${recordsPerSecond}`,
    '-d',
    `${scale.rateSeconds}s`,
    '-warmup',
    `${scale.rateWarmupSeconds}s`,
    '-drain',
    `${scale.rateSeconds}s`
  ]
  const run = await stage.load('rate', [
    '-t',
    topic,
    '-p',
    `${partitions}`,
    '-s',
    '1024',
    ...replicas(stage),
    ...time,
    ...topicSettings(variant)
  ])
  const { ack, e2e, lag, sent_s } = run.report
  return {
    metrics: {
      ...{
        ack_p50: ack.p50,
        ack_p99: ack.p99,
        ack_p999: ack.p999,
        e2e_p50: e2e.p50,
        e2e_p99: e2e.p99,
        lag_p99: lag.p99,
        sent_s
      },
      held: run.report.held === true ? 1 : 0,
      ...costs(run.usage, sent_s * scale.rateSeconds * 1024)
    },
    // Kafka cannot hold the rate over 1,000 partitions on small machines: that is a figure, not a fault.
    problems:
      run.report.held === true || variant !== 'milena'
        ? run.problems.filter(() => run.report.held === true)
        : run.problems
  }
}

const rateLines = (goals: { p50?: Line['goals']; p99?: Line['goals']; limits?: readonly [number, number] }): Line[] => [
  {
    ...{ metric: 'ack_p50', label: 'ack p50, ms', digits: 2, better: 'less' as const },
    ...(goals.p50 === undefined ? {} : { goals: goals.p50 }),
    ...(goals.limits === undefined ? {} : { limit: goals.limits[0] })
  },
  {
    ...{ metric: 'ack_p99', label: 'ack p99, ms', digits: 2, better: 'less' as const },
    ...(goals.p99 === undefined ? {} : { goals: goals.p99 }),
    ...(goals.limits === undefined ? {} : { limit: goals.limits[1] })
  },
  { metric: 'ack_p999', label: 'ack p99.9, ms', digits: 2, better: 'less' },
  { metric: 'e2e_p50', label: 'end to end p50, ms', digits: 2, better: 'less' },
  { metric: 'e2e_p99', label: 'end to end p99, ms', digits: 2, better: 'less' },
  { metric: 'lag_p99', label: "generator's own lag p99, ms", digits: 2, better: 'less' },
  cpuLine
]

export const rows: readonly Row[] = [
  {
    id: 'produce-1k',
    title: 'produce, 1 KiB records, acks=all',
    block: 'throughput',
    variants: ['milena', 'kafka', 'kafkaFlush'],
    lines: [
      { ...mbLine, goals: { kafka: 2, kafkaFlush: 4 } },
      { ...cpuLine, goals: { kafka: 0.25 } }
    ],
    run: async (stage, variant, scale, name) =>
      checked(await produce(stage, variant, name, scale.records1k, 1024), consume(stage, name, scale.records1k, 1024))
  },
  {
    id: 'produce-100',
    title: 'produce, 100-byte records, acks=all',
    block: 'throughput',
    variants: ['milena', 'kafka'],
    lines: [{ ...recordsLine, goals: { kafka: 1 } }, cpuLine],
    run: async (stage, variant, scale, name) =>
      checked(await produce(stage, variant, name, scale.records100, 100), consume(stage, name, scale.records100, 100))
  },
  {
    id: 'consume-tail',
    title: 'consume, 1 KiB records just written (cache)',
    block: 'throughput',
    variants: ['milena', 'kafka'],
    lines: [{ ...mbLine, goals: { kafka: 1.2 } }, cpuLine],
    run: async (stage, variant, scale, name) => {
      const written = await produce(stage, variant, name, tailRecords, 1024)
      const read = await consume(stage, name, tailRecords, 1024, scale.tailPasses)
      return { metrics: read.metrics, problems: [...written.problems, ...read.problems] }
    }
  },
  {
    id: 'consume-cold',
    title: 'consume, 1 KiB records, nothing in memory',
    block: 'throughput',
    variants: ['milena', 'kafka'],
    lines: [{ ...mbLine, goals: { kafka: 1 } }, cpuLine],
    run: async (stage, variant, scale, name) => {
      const written = await produce(stage, variant, name, scale.records1k, 1024)
      const cold = await stage.coolDown()
      const read = await consume(stage, name, scale.records1k, 1024)
      const warm = cold ? [] : ['the page cache could not be dropped (not root): this is not a cold read']
      return { metrics: read.metrics, problems: [...written.problems, ...read.problems, ...warm] }
    }
  },
  {
    id: 'rate',
    title: 'open loop, 10,000 records/s of 1 KiB, acks=all, 4 partitions',
    block: 'latency',
    variants: ['milena', 'kafka', 'kafkaFlush'],
    lines: rateLines({ p50: { kafka: 1, kafkaFlush: 0.1 }, p99: { kafka: 1, kafkaFlush: 0.25 } }),
    run: (stage, variant, scale, name) => openLoop(stage, variant, scale, name, 4)
  },
  {
    id: 'rate-1000',
    title: 'open loop, 10,000 records/s of 1 KiB, acks=all, 1,000 partitions',
    block: 'latency',
    variants: ['milena', 'kafka'],
    lines: rateLines({ limits: [6, 40] }),
    run: (stage, variant, scale, name) => openLoop(stage, variant, scale, name, 1000)
  },
  {
    id: 'cluster-produce',
    title: 'three nodes: produce, 1 KiB records, 3 replicas, acks=all',
    block: 'cluster',
    variants: ['milena', 'kafka', 'kafkaFlush'],
    lines: [{ ...mbLine, goals: { kafkaFlush: 2 } }, cpuLine, memoryLine],
    run: async (stage, variant, scale, name) =>
      checked(
        await produce(stage, variant, name, scale.clusterRecords, 1024),
        consume(stage, name, scale.clusterRecords, 1024)
      )
  },
  {
    id: 'cluster-rate',
    title: 'three nodes: open loop, 2,000 records/s of 1 KiB, 3 replicas, acks=all',
    block: 'cluster',
    variants: ['milena', 'kafka', 'kafkaFlush'],
    lines: rateLines({ p99: { kafka: 1, kafkaFlush: 1 } }),
    run: (stage, variant, scale, name) => openLoop(stage, variant, scale, name, 4, 2_000)
  },
  {
    id: 'start-big',
    title: 'start to serving after kill -9, 10 GiB in the folder (--quick: 256 MiB)',
    block: 'big',
    variants: ['milena', 'kafka'],
    lines: [{ metric: 'start_s', label: 'seconds', digits: 2, better: 'less', limit: 2 }],
    run: async (stage, variant, scale, name) => {
      const written = await stage.load(
        'produce',
        ['-t', name, '-p', '8', '-n', `${scale.bigRecords}`, '-s', '1024'],
        900_000
      )
      await stage.peer.kill()
      await stage.coolDown()
      if (stage.peer.rootPid === 0) await stage.peer.start()
      const ready = await stage.load('ready', ['-t', name])
      const start_s = stage.peer.startMs / 1000 + ready.report.seconds
      const read = await consume(stage, name, scale.bigRecords, 1024)
      return {
        metrics: { start_s, ...costs(written.usage, written.report.bytes) },
        problems: [...written.problems, ...ready.problems, ...read.problems]
      }
    }
  }
]
