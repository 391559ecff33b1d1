/**
 * `npm run cluster`: a cluster of real nodes on this machine, one `milena start` each, with their logs together.
 *
 *   --nodes N        nodes (3)                        --shards N       shards of each (2)
 *   --data-dir DIR   data folders, one a node         --port-offset N  added to all ports (0)
 *   -o key=value     a setting of all nodes; repeatable
 *
 * Ctrl-C or SIGTERM stops all nodes in good order. A node that dies is started again, unless it never became ready.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatLine } from './log-line.ts'
import { planNodes, type NodePlan } from './nodes.ts'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const RESTART_MS = 3_000
const POLL_MS = 200

const { values: flags } = parseArgs({
  options: {
    nodes: { type: 'string', default: '3' },
    shards: { type: 'string', default: '2' },
    'data-dir': { type: 'string', default: join(root, 'data/cluster') },
    'port-offset': { type: 'string', default: '0' },
    option: { type: 'string', short: 'o', multiple: true, default: [] }
  }
})

class LocalNode {
  readonly plan: NodePlan
  #child: ChildProcess | undefined
  #ready = false

  constructor(plan: NodePlan) {
    this.plan = plan
  }

  start(): void {
    mkdirSync(this.plan.dataFolder, { recursive: true })
    const program = [
      '--conditions=@milena/source',
      '--disable-warning=ExperimentalWarning',
      join(root, 'apps/broker/bin/milena.js')
    ]
    const child = spawn(process.execPath, [...program, ...this.plan.args], { stdio: ['ignore', 'inherit', 'pipe'] })
    this.#child = child
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', line => this.#print(line))
    child.once('exit', (code, signal) => this.#ended(code, signal))
    say(`node ${this.plan.node} is process ${child.pid}`)
    void this.#watch(child)
  }

  /** Resolves when the process has ended. */
  stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
    return new Promise(done => {
      child.once('exit', () => done())
      child.kill('SIGTERM')
    })
  }

  get ready(): boolean {
    return this.#ready
  }

  #print(line: string): void {
    process.stderr.write(`${formatLine(this.plan.node, line, process.stderr.isTTY)}\n`)
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    const wasReady = this.#ready
    this.#ready = false
    if (stopping) return
    say(`node ${this.plan.node} ended with ${signal ?? `exit code ${code}`}`)
    if (!wasReady) return void stopAll(1)
    setTimeout(() => {
      if (!stopping) this.start()
    }, RESTART_MS)
  }

  async #watch(child: ChildProcess): Promise<void> {
    const url = `http://127.0.0.1:${this.plan.adminPort}/v1/status/ready`
    while (!stopping && child.exitCode === null && child.signalCode === null) {
      const answer = await fetch(url).catch(() => undefined)
      if (answer?.ok === true) {
        this.#ready = true
        return announce()
      }
      await new Promise(done => setTimeout(done, POLL_MS))
    }
  }
}

let stopping = false
const nodes = planNodes({
  nodes: count('nodes'),
  shards: count('shards'),
  dataFolder: resolve(flags['data-dir']),
  portOffset: Number(flags['port-offset']),
  settings: flags.option
}).map(plan => new LocalNode(plan))

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stopAll(0))
for (const node of nodes) node.start()

function count(name: 'nodes' | 'shards'): number {
  const value = Number(flags[name])
  if (Number.isInteger(value) && value > 0) return value
  process.stderr.write(`--${name} ${flags[name]}: expected a number above 0\n`)
  process.exit(2)
}

function announce(): void {
  if (!nodes.every(node => node.ready)) return
  const servers = nodes.map(({ plan }) => `127.0.0.1:${plan.kafkaPort}`).join(',')
  say(`all ${nodes.length} nodes are ready; bootstrap servers ${servers}`)
}

async function stopAll(exitCode: number): Promise<void> {
  if (stopping) return
  stopping = true
  say('stopping')
  await Promise.all(nodes.map(node => node.stop()))
  process.exit(exitCode)
}

function say(message: string): void {
  process.stderr.write(`cluster: ${message}\n`)
}
