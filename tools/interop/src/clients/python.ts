/**
 * The Python clients: confluent-kafka (librdkafka), kafka-python and aiokafka, in a virtual environment that is made on first use
 * from clients/python/requirements.txt.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun, repositoryDir, runProgram } from '@milena/bench'
import type { Check, Client, Feature } from '../client.ts'

const sources = join(import.meta.dirname, '../../clients/python')
const environment = join(repositoryDir, 'node_modules/.cache/milena/python')
const python = join(environment, 'bin/python')

let prepared: Promise<string | null> | undefined

/** Makes the environment unless it is there with these requirements. Resolves with what is missing, or null. */
function prepare(): Promise<string | null> {
  prepared ??= (async () => {
    const requirements = join(sources, 'requirements.txt')
    const stamp = join(environment, 'requirements.sha256')
    const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex')
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return null
    const version = await runProgram('python3', ['--version']).catch(() => null)
    if (version?.code !== 0) return 'python3 is not on the PATH'
    const made = await runProgram('python3', ['-m', 'venv', environment])
    if (made.code !== 0) return `python3 cannot make a virtual environment: ${made.stdout.trim().split('\n')[0] ?? ''}`
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]
    const installed = await runProgram(python, install, { timeoutMs: 300_000 })
    if (installed.code !== 0)
      return `pip could not install the clients: ${installed.stderr.trim().split('\n').at(-1) ?? ''}`
    writeFileSync(stamp, digest)
    return null
  })()
  return prepared
}

function adapter(name: string, file: string, lacks: readonly Feature[], checks: readonly Check[] = []): Client {
  const run = (...args: string[]): Promise<string> =>
    mustRun(python, [join(sources, file), ...args], { timeoutMs: 120_000 })
  return {
    name,
    missing: prepare,
    writer: {
      lacks,
      run: async (context, topic, corpusFile, plan) =>
        void (await run('write', context.bootstrap, topic, corpusFile, plan))
    },
    reader: { run: (context, topics) => run('read', context.bootstrap, topics.join(',')) },
    checks
  }
}

export const confluentPython = adapter(
  'confluent-kafka',
  'confluent_adapter.py',
  ['timestampZero'],
  [
    {
      title: 'its admin client creates, describes, lists offsets of and deletes a topic',
      run: async context => {
        const args = [
          join(sources, 'confluent_adapter.py'),
          'admin',
          context.bootstrap,
          context.topic('confluent-admin')
        ]
        await mustRun(python, args, { timeoutMs: 60_000 })
      }
    }
  ]
)
export const kafkaPython = adapter('kafka-python', 'kafka_python_adapter.py', ['nullKeyAndValue', 'nullHeader'])
export const aiokafka = adapter('aiokafka', 'aiokafka_adapter.py', ['nullKeyAndValue'])
