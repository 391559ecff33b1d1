/**
 * Lets Kafka's own classes read what we write: frames of every API, version and direction go through a small Java program that
 * decodes and encodes them again, and must come back byte for byte.
 */
import { execFile, spawn } from 'node:child_process'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { encodeRequest, encodeResponse, type Api } from '@milena/wire-protocol'
import { fullMessage, randomStruct, seededRandom } from '@milena/wire-protocol/testing'
import type { Jar } from './kafka-jar.ts'

/** Random messages for each (API, version, direction), besides the full one and the one of defaults. */
const RANDOM_MESSAGES = 4

/** Longest time that Java may take. */
const JAVA_MS_MAX = 120_000

/** Whether this machine has Java. */
export async function hasJava(): Promise<boolean> {
  return promisify(execFile)('java', ['-version']).then(
    () => true,
    () => false
  )
}

/** Sends the versions of `apis` that `speaks` chooses through the Kafka classes in `jars`. Rejects if Java fails as a whole. */
export async function roundTripThroughKafka(
  jars: readonly Jar[],
  apis: readonly Api[],
  speaks: (api: Api, version: number) => boolean,
  seed: number
): Promise<{ frameCount: number; problems: string[] }> {
  const lines = [...frameLines(apis, speaks, seed)]
  const program = fileURLToPath(new URL('./KafkaRoundTrip.java', import.meta.url))
  const classPath = (await Promise.all(jars.map(jar => jar.path()))).join(delimiter)
  const output = await pipeThrough('java', ['-cp', classPath, program], lines.join('\n') + '\n')
  const answers = output.trim().split('\n')
  const last = answers.pop()
  if (last !== `${lines.length} frames`) throw new Error(`Java answered for "${last}" of ${lines.length} frames`)
  return { frameCount: lines.length, problems: answers }
}

function* frameLines(
  apis: readonly Api[],
  speaks: (api: Api, version: number) => boolean,
  seed: number
): Generator<string> {
  const random = seededRandom(seed)
  for (const api of apis) {
    for (let version = api.versions.min; version <= api.versions.max; version++) {
      if (!speaks(api, version)) continue
      for (let i = -2; i < RANDOM_MESSAGES; i++) {
        const message = (fields: Api['request']) =>
          i === -2 ? {} : i === -1 ? fullMessage(fields, version) : randomStruct(fields, version, random)
        const header = { correlationId: 7, clientId: i === -1 ? 'check-schemas' : null }
        yield lineOf('request', api, version, encodeRequest(api, version, header, message(api.request)))
        yield lineOf('response', api, version, encodeResponse(api, version, 7, message(api.response)))
      }
    }
  }
}

function lineOf(direction: string, api: Api, version: number, chunks: Uint8Array[]): string {
  return `${direction} ${api.key} ${version} ${Buffer.concat(chunks).subarray(4).toString('hex')}`
}

function pipeThrough(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: JAVA_MS_MAX })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
    child.stdin.on('error', reject)
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0) resolve(Buffer.concat(output).toString())
      else reject(new Error(`${command} ended with ${code}: ${Buffer.concat(errors).toString().slice(0, 2000)}`))
    })
    child.stdin.end(input)
  })
}
