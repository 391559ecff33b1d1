/**
 * `node --conditions=@milena/source tools/check-schemas/src/main.ts`: see README.md. Composition root: finds the jars, runs the
 * three checks, prints what it compared and every difference. Exit code 0: all equal; 1: not; 75: a jar cannot be had.
 */
import { apis, type Api } from '@milena/wire-protocol'
import { compareSchemas } from './compare-schemas.ts'
import { falsifications } from './falsify.ts'
import { findJar, JarError, NEWEST, OLDEST, SLF4J, type Jar } from './kafka-jar.ts'
import { readMessages, type KafkaMessage } from './kafka-messages.ts'
import { hasJava, roundTripThroughKafka } from './kafka-round-trip.ts'

/** Exit code for "cannot run here". */
const UNAVAILABLE = 75

const DIFFERENCES_SHOWN_MAX = 200

type Messages = ReadonlyMap<string, KafkaMessage>

const ours: readonly Api[] = Object.values(apis)
const counts = { passed: 0, failed: 0 }

try {
  const kafkaHome = process.env['KAFKA_PEER_HOME']
  const newest = await findJar(NEWEST, kafkaHome)
  const oldest = await findJar(OLDEST, kafkaHome)
  for (const jar of [newest, oldest]) console.log(`kafka-clients ${jar.release.version} from ${jar.origin}`)
  const messages = { newest: readMessages(newest.bytes), oldest: readMessages(oldest.bytes) }
  checkFacts(messages.newest, messages.oldest)
  checkCanary(messages.newest, messages.oldest)
  const logging = await findJar(SLF4J, kafkaHome)
  try {
    await checkBytes(newest, [oldest, logging], messages.newest)
  } finally {
    for (const jar of [newest, oldest, logging]) await jar.dispose()
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed`)
  process.exitCode = counts.failed > 0 ? 1 : 0
} catch (error) {
  if (!(error instanceof JarError)) throw error
  console.log(`cannot run: ${error.message}`)
  process.exitCode = UNAVAILABLE
}

function checkFacts(newest: Messages, oldest: Messages): void {
  const { apiCount, versionCount, fieldCount, factCount, differences } = compareSchemas(ours, newest, oldest)
  report(
    `facts: ${apiCount} APIs, ${versionCount} versions of requests and responses, ${fieldCount} fields, ${factCount} facts`,
    differences
  )
}

function checkCanary(newest: Messages, oldest: Messages): void {
  const believed: string[] = []
  let count = 0
  for (const api of ours) {
    const only = (messages: Messages) => new Map([...messages].filter(([name]) => name.startsWith(api.name)))
    const [near, far] = [only(newest), only(oldest)]
    for (const { lie, api: falsified } of falsifications(api)) {
      count++
      const before = compareSchemas([api], near, far).differences.length
      if (compareSchemas([falsified], near, far).differences.length <= before) believed.push(`believed a lie: ${lie}`)
    }
  }
  report(`canary: ${count} wrong facts, ${count - believed.length} noticed`, believed)
}

async function checkBytes(newest: Jar, oldest: readonly [Jar, Jar], messages: Messages): Promise<void> {
  if (!(await hasJava())) {
    console.log('bytes: not compared, there is no Java here')
    return
  }
  const seed = Number(process.env['MILENA_SEED'] ?? Date.now() % 1_000_000)
  const isOld = (api: Api, version: number) => {
    const valid = messages.get(`${api.name}Request`)?.validVersions ?? '0'
    return version < Number.parseInt(valid, 10)
  }
  for (const [jars, speaks] of [
    [[newest], (api: Api, version: number) => !isOld(api, version)],
    [oldest, isOld]
  ] as const) {
    const { frameCount, problems } = await roundTripThroughKafka(jars, ours, speaks, seed)
    report(`bytes: ${frameCount} frames through Kafka ${jars[0].release.version} and back (seed ${seed})`, problems)
  }
}

function report(title: string, problems: readonly string[]): void {
  console.log(`${title}: ${problems.length === 0 ? 'equal' : `${problems.length} differences`}`)
  for (const problem of problems.slice(0, DIFFERENCES_SHOWN_MAX)) console.log(`  ${problem}`)
  if (problems.length > DIFFERENCES_SHOWN_MAX) console.log(`  ... and ${problems.length - DIFFERENCES_SHOWN_MAX} more`)
  if (problems.length === 0) counts.passed++
  else counts.failed++
}
