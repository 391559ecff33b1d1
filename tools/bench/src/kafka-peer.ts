/**
 * Apache Kafka as a peer: installs the jars from Maven Central (kafka/pom.xml) into a cache folder once, formats and runs one
 * KRaft node on loopback with a data folder of its own, and runs Kafka's command-line tools against any broker.
 *
 * The node has Kafka's defaults except what one node needs (internal topics with one replica). JVM flags are those of Kafka's own
 * start script, with a heap of 2 GiB, pre-touched. Needs Java 17 or newer, and Maven for the first run.
 * Jars: `$KAFKA_PEER_HOME/libs`, by default `~/.cache/kafka-peer/libs`.
 */
import { spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { answers, awaitReady, endProcesses, freePorts, spawnLogged, type Peer, type PeerOptions } from './peer.ts'
import { runProgram, type ProgramResult } from './program.ts'

const pomFile = join(import.meta.dirname, '../kafka/pom.xml')
const home = process.env['KAFKA_PEER_HOME'] ?? join(homedir(), '.cache/kafka-peer')

/** Class path with Kafka 4.3 and its tools, once `installKafka` resolved. */
export const kafkaClassPath = join(home, 'libs/*')

const startTimeoutMs = 120_000

/** What is missing to run Kafka here, in words; null when nothing is. */
export function missingForKafka(): string | null {
  if (spawnSync('java', ['-version']).status !== 0) return 'java (17 or newer) is not on the PATH'
  if (!hasJars() && spawnSync('mvn', ['--version']).status !== 0)
    return `Kafka's jars are not in ${home}/libs and mvn, which would fetch them, is not on the PATH`
  return null
}

function hasJars(): boolean {
  const version = /<kafka\.version>(.*)<\/kafka\.version>/.exec(readFileSync(pomFile, 'utf8'))?.[1]
  const jars = [
    `kafka_2.13-${version}.jar`,
    `kafka-tools-${version}.jar`,
    `kafka-clients-${version}.jar`,
    'log4j-slf4j-impl-2.25.4.jar'
  ]
  return jars.every(jar => existsSync(join(home, 'libs', jar)))
}

/** Fetches the jars unless they are there. Throws with Maven's words when it fails. */
export function installKafka(): void {
  const missing = missingForKafka()
  if (missing !== null) throw new Error(missing)
  if (hasJars()) return
  mkdirSync(home, { recursive: true })
  const args = ['-q', '-B', '-f', pomFile, 'dependency:copy-dependencies', `-DoutputDirectory=${join(home, 'libs')}`]
  const result = spawnSync('mvn', args, { encoding: 'utf8', timeout: 600_000 })
  if (result.status !== 0) throw new Error(`mvn could not fetch Kafka:\n${result.stdout}${result.stderr}`)
}

const log4j = `<Configuration status="ERROR">
<Appenders><Console name="E" target="SYSTEM_ERR"><PatternLayout pattern="%d %p %c - %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="E"/></Root></Loggers>
</Configuration>
`

function log4jFile(): string {
  const file = join(home, 'log4j2-peer.xml')
  mkdirSync(home, { recursive: true })
  if (!existsSync(file)) writeFileSync(file, log4j)
  return file
}

const jvmFlags = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-XX:+AlwaysPreTouch'
]

export interface KafkaOptions extends PeerOptions {
  /** Heap of the JVM, MiB. Default 2048. */
  readonly heapMib?: number
}

export class KafkaPeer implements Peer {
  readonly name = 'kafka'
  readonly port: number
  readonly dataDir: string
  readonly logFile: string
  readonly #dir: string
  readonly #properties: string
  readonly #env: Readonly<Record<string, string>> | undefined
  readonly #heapMib: number
  #child: ChildProcess | undefined
  #startMs = 0

  /** `port` is for clients, the next one for the controller. */
  constructor(options: KafkaOptions, port: number) {
    this.#dir = options.dir
    this.#heapMib = options.heapMib ?? 2048
    this.#env = options.env
    this.port = port
    this.dataDir = join(options.dir, 'data')
    this.logFile = join(options.dir, 'kafka.log')
    this.#properties = join(options.dir, 'server.properties')
    rmSync(options.dir, { recursive: true, force: true })
    mkdirSync(options.dir, { recursive: true })
    const settings: Record<string, string> = {
      'process.roles': 'broker,controller',
      'node.id': '1',
      'controller.quorum.voters': `1@127.0.0.1:${port + 1}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${port + 1}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'PLAINTEXT',
      'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      'log.dirs': this.dataDir,
      'offsets.topic.replication.factor': '1',
      'offsets.topic.num.partitions': '4',
      'transaction.state.log.replication.factor': '1',
      'transaction.state.log.min.isr': '1',
      'transaction.state.log.num.partitions': '4',
      'share.coordinator.state.topic.replication.factor': '1',
      'share.coordinator.state.topic.min.isr': '1',
      'share.coordinator.state.topic.num.partitions': '4',
      'group.initial.rebalance.delay.ms': '0',
      ...options.settings
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(this.#properties, lines.join(''))
    const format = spawnSync('java', [
      `-Dlog4j2.configurationFile=${log4jFile()}`,
      ...[
        '-cp',
        kafkaClassPath,
        'kafka.tools.StorageTool',
        'format',
        '-t',
        'AAAAAAAAAAAAAAAAAAAAAA',
        '-c',
        this.#properties
      ]
    ])
    if (format.status !== 0) throw new Error(`formatting Kafka's folder failed:\n${format.stdout}${format.stderr}`)
  }

  get bootstrap(): string {
    return `127.0.0.1:${this.port}`
  }

  get startMs(): number {
    return this.#startMs
  }

  get rootPid(): number {
    return this.#child?.pid ?? 0
  }

  get rootPids(): readonly number[] {
    return this.#child?.pid === undefined ? [] : [this.#child.pid]
  }

  async start(): Promise<void> {
    const from = performance.now()
    const args = [
      ...jvmFlags,
      ...[`-Xmx${this.#heapMib}m`, `-Xms${this.#heapMib}m`],
      `-Dlog4j2.configurationFile=${log4jFile()}`,
      '-cp',
      kafkaClassPath,
      'kafka.Kafka',
      this.#properties
    ]
    const child = spawnLogged('java', args, { logFile: this.logFile, cwd: this.#dir, env: this.#env })
    this.#child = child
    try {
      await awaitReady(child, () => answers(this.port), {
        timeoutMs: startTimeoutMs,
        logFile: this.logFile,
        what: 'Kafka'
      })
    } catch (error) {
      await this.kill()
      throw error
    }
    this.#startMs = performance.now() - from
  }

  async stop(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGTERM')
    this.#child = undefined
  }

  async kill(): Promise<void> {
    if (this.#child !== undefined) await endProcesses(this.#child, 'SIGKILL')
    this.#child = undefined
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** Starts a Kafka node with an empty log in `options.dir` on two free ports in a row. */
export async function startKafka(options: PeerOptions): Promise<Peer> {
  installKafka()
  const peer = new KafkaPeer(options, await freePorts(2))
  await peer.start()
  return peer
}

/** Main classes of Kafka's command-line tools, by the names of their scripts. */
const toolClasses = {
  topics: 'org.apache.kafka.tools.TopicCommand',
  configs: 'kafka.admin.ConfigCommand',
  'console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'delete-records': 'org.apache.kafka.tools.DeleteRecordsCommand',
  'get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  cluster: 'org.apache.kafka.tools.ClusterTool'
} as const

export type KafkaTool = keyof typeof toolClasses

/** Runs a Kafka command-line tool against any broker, as `kafka-<tool>.sh` would. */
export function runKafkaTool(
  tool: KafkaTool,
  args: readonly string[],
  options: { input?: string | Uint8Array; timeoutMs?: number } = {}
): Promise<ProgramResult> {
  return runJava([toolClasses[tool], ...args], options)
}

/** Runs Java with Kafka on the class path. A short-lived tool starts quicker without the second JIT and with the serial GC. */
export function runJava(
  args: readonly string[],
  options: { input?: string | Uint8Array; timeoutMs?: number } = {}
): Promise<ProgramResult> {
  const flags = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Dlog4j2.configurationFile=${log4jFile()}`]
  return runProgram('java', [...flags, '-cp', kafkaClassPath, ...args], options)
}
