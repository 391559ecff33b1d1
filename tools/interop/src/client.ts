/**
 * What a client is to the suite. One file in clients/ describes one client: what must be installed for it, how it writes and reads
 * the corpus, and the checks that only it makes. The suite (main.ts) runs whatever the list there names, so a new client is a new
 * file and a line.
 */
import type { Peer } from '@milena/bench'

export const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Codec = (typeof codecs)[number]

/** Where the checks of a run happen. */
export interface Context {
  /** The broker, when the suite started it. */
  readonly peer: Peer
  readonly bootstrap: string
  readonly addressing: 'shard' | 'node'
  /** Kafka brokers that metadata must show: one a shard with shard addressing. */
  readonly brokerCount: number
  /** Folder for files of this run. */
  readonly dir: string
  /** A topic name that no other check uses. */
  topic(stem: string): string
}

/** Properties of records that some client cannot express. */
export type Feature =
  'nullHeader' | 'nullKeyAndValue' | 'emptyKey' | 'emptyHeaderName' | 'earlierTimestamp' | 'timestampZero'

/** APIs that not every stage of the broker has, by Kafka's keys. */
export const optionalApis = {
  joinGroup: 11,
  deleteRecords: 21,
  describeConfigs: 32,
  createPartitions: 37,
  incrementalAlterConfigs: 44,
  listConfigResources: 74
} as const
export type ApiKey = keyof typeof optionalApis

export interface Writer {
  /** Records with these features are left out of what this client writes. */
  readonly lacks?: readonly Feature[]
  readonly codecs?: readonly Codec[]
  /** `plan` is CODEC=PARTITION,...; the whole corpus goes to each of these partitions in order. */
  run(context: Context, topic: string, corpusFile: string, plan: string): Promise<void>
}

export interface Reader {
  /** Keys of APIs that it cannot do without; skipped while the broker does not offer them. */
  readonly needs?: readonly ApiKey[]
  /** Resolves with one JSON object a line. */
  run(context: Context, topics: readonly string[]): Promise<string>
}

export interface Check {
  /** A sentence: what holds. */
  readonly title: string
  /** As for readers. */
  readonly needs?: readonly ApiKey[]
  run(context: Context): Promise<void>
}

export interface Client {
  readonly name: string
  /** What is missing to run it, in words; null when nothing is. May install what needs no rights. */
  missing(): Promise<string | null>
  readonly writer?: Writer
  readonly reader?: Reader
  readonly checks?: readonly Check[]
}

/** Ends a check as not applicable, with the reason. */
export class Skip extends Error {}

/** Fails the check unless `truth`. */
export function demand(truth: boolean, what: string): asserts truth {
  if (!truth) throw new Error(what)
}
