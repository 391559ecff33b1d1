/**
 * Finds jars of pinned versions, `kafka-clients` above all: in the local Maven repository, in a Kafka installation, or in Maven
 * Central. Whatever its origin, it must have the pinned SHA-256. Only a download by `mvn` leaves a file behind, in Maven's own
 * repository; otherwise the jar stays in memory, with a temporary copy for Java when that is wanted.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A release of a Java library and the sum that its jar must have. */
export interface Release {
  readonly group: string
  readonly artifact: string
  readonly version: string
  readonly sha256: string
}

/** The newest Kafka, whose schemas ours are. */
export const NEWEST: Release = {
  group: 'org.apache.kafka',
  artifact: 'kafka-clients',
  version: '4.3.1',
  sha256: '52501b7b47510c66f898871adaf6d2968ab7246561d44ced43643a8a587f0b36'
}

/** The last Kafka that spoke the oldest versions. */
export const OLDEST: Release = {
  group: 'org.apache.kafka',
  artifact: 'kafka-clients',
  version: '3.9.1',
  sha256: '7568b998572d256f0b7bc0afdc1b7a2588b8b08415c62ce314c864a6851ae9d9'
}

/** What the classes of `OLDEST` need to be loaded. */
export const SLF4J: Release = {
  group: 'org.slf4j',
  artifact: 'slf4j-api',
  version: '1.7.36',
  sha256: 'd3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0'
}

/** A jar that was found. */
export interface Jar {
  readonly release: Release
  readonly bytes: Uint8Array
  /** Where it came from, for people. */
  readonly origin: string
  /** Its path; a temporary copy is made if it is only in memory. */
  path(): Promise<string>
  /** Removes the temporary copy. */
  dispose(): Promise<void>
}

/** The jar cannot be had: no network and no copy. `code` is always `UNAVAILABLE`. */
export class JarError extends Error {
  readonly code = 'UNAVAILABLE'
}

const run = promisify(execFile)

/** Longest time that a download may take. */
const FETCH_MS_MAX = 120_000

/** Finds or fetches the jar. `kafkaHome`: folder of a Kafka installation to look into. Throws JarError. */
export async function findJar(release: Release, kafkaHome: string | undefined): Promise<Jar> {
  const { group, artifact, version } = release
  const name = `${artifact}-${version}.jar`
  const folder = `${group.replaceAll('.', '/')}/${artifact}/${version}`
  const inMaven = join(homedir(), '.m2/repository', folder, name)
  const places = [inMaven, ...(kafkaHome === undefined ? [] : [join(kafkaHome, 'libs', name)])]
  const reasons: string[] = []
  for (const place of places) {
    const bytes = await readFile(place).catch(() => undefined)
    if (bytes === undefined) continue
    if (sha256(bytes) === release.sha256) return fileJar(release, bytes, place)
    reasons.push(`${place} has another SHA-256`)
  }
  const coordinates = `-Dartifact=${group}:${artifact}:${version}`
  await run('mvn', ['-q', '-B', 'dependency:get', '-Dtransitive=false', coordinates], { timeout: FETCH_MS_MAX }).catch(
    (error: unknown) => reasons.push(`mvn: ${firstLine(error)}`)
  )
  const fetched = await readFile(inMaven).catch(() => undefined)
  if (fetched !== undefined && sha256(fetched) === release.sha256) return fileJar(release, fetched, inMaven)
  const url = `https://repo1.maven.org/maven2/${folder}/${name}`
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS_MAX) })
    if (!response.ok) throw new Error(`status ${response.status}`)
    const bytes = new Uint8Array(await response.arrayBuffer())
    if (sha256(bytes) === release.sha256) return memoryJar(release, bytes, url)
    reasons.push(`${url} has another SHA-256`)
  } catch (error) {
    reasons.push(`${url}: ${firstLine(error)}`)
  }
  throw new JarError(`no ${name}: ${reasons.join('; ')}`)
}

function fileJar(release: Release, bytes: Uint8Array, path: string): Jar {
  return { release, bytes, origin: path, path: () => Promise.resolve(path), dispose: () => Promise.resolve() }
}

function memoryJar(release: Release, bytes: Uint8Array, origin: string): Jar {
  let folder: string | undefined
  return {
    release,
    bytes,
    origin,
    async path() {
      folder ??= await mkdtemp(join(tmpdir(), 'milena-check-schemas-'))
      const path = join(folder, `${release.artifact}.jar`)
      await writeFile(path, bytes)
      return path
    },
    async dispose() {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true })
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
}
