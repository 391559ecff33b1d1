/**
 * `npm run bench`: the comparison with Apache Kafka, side by side on this machine.
 *
 * In every round each block of rows runs against Kafka and Milena, one after the other and in turn first (A B, B A, A B), each freshly
 * started on an empty folder when the disks rest, and warmed up; the same load generator drives both from the same cores. What is
 * printed are medians over the rounds. Progress goes to stderr, the table to stdout, everything to a JSON file.
 *
 *   --rounds N     rounds (3)                        --quick      one round of short runs, under 3 minutes
 *   --only IDS     rows, comma separated             --big        also the start with 10 GiB in the folder
 *   --systems S    milena,kafka (both)               --shards N   shards of Milena (2)
 *   --out FILE     JSON (tmp/bench.json)             --dir DIR    data (tmp/bench); it decides which disk is measured
 *   --gate         exit with 2 when a goal is missed --list       the rows
 *
 * Exit code 1: a record was lost, changed, repeated or refused, or a broker did not start.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { untilDisksRest } from './disk-rest.ts'
import { repositoryDir } from './milena-peer.ts'
import { buildKload } from './program.ts'
import { describeMachine, median, renderTable, summarise, type RowResult } from './report.ts'
import { blocks, fullScale, quickScale, rows, type Block, type Line, type Row, type Scale } from './rows.ts'
import { Stage, systemOf, variantTitles, type Sample, type StageOptions, type System, type Variant } from './stage.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    systems: { type: 'string', default: 'kafka,milena' },
    shards: { type: 'string', default: '2' },
    out: { type: 'string', default: join(repositoryDir, 'tmp/bench.json') },
    dir: { type: 'string', default: join(repositoryDir, 'tmp/bench') },
    quick: { type: 'boolean', default: false },
    big: { type: 'boolean', default: false },
    gate: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false }
  }
})

const startLine: Line = { metric: 'start_s', label: 'seconds', digits: 2, better: 'less' }
const memoryLines: readonly Line[] = [
  { metric: 'rss_mb', label: 'resident, MB', digits: 0, better: 'less', limit: 500 },
  { metric: 'pss_mb', label: 'proportional, MB', digits: 0, better: 'less' }
]

const startRow = (nodeCount: number): RowResult['row'] =>
  nodeCount > 1
    ? { id: 'start-cluster', title: 'three nodes: start to all answering, empty folders', lines: [startLine] }
    : { id: 'start', title: 'start to first answer, empty folder', lines: [{ ...startLine, limit: 1 }] }

/** Samples by row; start-up times and memory are gathered from all rows. */
class Results {
  readonly #rows = new Map<string, RowResult>()
  readonly problems: string[] = []

  result(row: RowResult['row']): RowResult {
    const known = this.#rows.get(row.id) ?? { row, samples: {} }
    this.#rows.set(row.id, known)
    return known
  }

  add(row: RowResult['row'], variant: Variant, sample: Sample): void {
    const { samples } = this.result(row)
    samples[variant] = [...(samples[variant] ?? []), sample]
    this.problems.push(...sample.problems.map(problem => `${row.id}, ${variantTitles[variant]}: ${problem}`))
  }

  /** Highest memory of each variant over all rows of one node, once a round and row. */
  withMemory(): RowResult[] {
    const all = [...this.#rows.values()]
    const ofOneNode = all.filter(({ row }) => rows.find(({ id }) => id === row.id)?.block !== 'cluster')
    const memory: RowResult = {
      row: { id: 'memory', title: 'memory of all processes, peak over these rows', lines: memoryLines },
      samples: {}
    }
    for (const variant of Object.keys(variantTitles) as Variant[]) {
      const peak = (metric: string): number =>
        Math.max(
          ...ofOneNode.flatMap(({ samples }) => samples[variant] ?? []).map(sample => sample.metrics[metric] ?? 0),
          0
        )
      if (peak('rss_mb') > 0)
        memory.samples[variant] = [{ metrics: { rss_mb: peak('rss_mb'), pss_mb: peak('pss_mb') }, problems: [] }]
    }
    return Object.keys(memory.samples).length === 0 ? all : [...all, memory]
  }
}

const say = (text: string): boolean => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)

function selectRows(): Row[] {
  const only = flags.only?.split(',')
  const unknown = only?.filter(id => !rows.some(row => row.id === id)) ?? []
  if (unknown.length > 0)
    throw new Error(`unknown rows ${unknown.join(', ')}; there are ${rows.map(row => row.id).join(', ')}`)
  return rows.filter(row => (only === undefined ? row.block !== 'big' || flags.big : only.includes(row.id)))
}

async function runBlock(
  system: System,
  nodeCount: number,
  block: readonly Row[],
  round: number,
  scale: Scale,
  options: StageOptions,
  results: Results
): Promise<void> {
  await untilDisksRest()
  const stage = await Stage.open(system, nodeCount, options)
  try {
    say(`round ${round}, ${system}: ready after ${(stage.peer.startMs / 1000).toFixed(2)} s`)
    const start: Sample = { metrics: { start_s: stage.peer.startMs / 1000 }, problems: [] }
    results.add(startRow(nodeCount), system, start)
    await warmUp(stage, block[0]!.block, scale)
    for (const row of block) {
      for (const variant of row.variants.filter(each => systemOf(each) === system)) {
        const sample = await row.run(stage, variant, scale, `${row.id}-${variant.toLowerCase()}`)
        results.add(row, variant, sample)
        const figures = row.lines
          .slice(0, 2)
          .map(line => `${line.label} ${sample.metrics[line.metric]?.toFixed(line.digits)}`)
        const noise = `load ${sample.metrics['load']?.toFixed(1)}, steal ${sample.metrics['steal_s']?.toFixed(1)} s`
        say(
          `round ${round}, ${variantTitles[variant]}, ${row.id}: ${figures.join(', ')}; ${noise}${sample.problems.map(text => `; ${text}`).join('')}`
        )
      }
    }
  } finally {
    await stage.close()
  }
}

/** Topics that the records of the warm-up go to, one after the other. */
const WARM_UP_TOPICS = 4

/**
 * Until the compilers of the runtime have settled, as they have in a broker that runs for weeks: the same work for everybody.
 * Several topics, because what was compiled for the first one is thrown away when others come.
 */
async function warmUp(stage: Stage, block: Block, scale: Scale): Promise<void> {
  const replicas = ['-rf', `${stage.nodeCount}`]
  const kinds = stage.nodeCount > 1 ? scale.clusterRecords : 300_000
  await stage.load('fill', ['-t', 'warm-up-kinds', '-n', `${kinds}`, ...replicas])
  if (block !== 'throughput') return
  const records = scale.warmUpRecords / WARM_UP_TOPICS
  for (let topic = 1; topic <= WARM_UP_TOPICS; topic++)
    await stage.load('produce', ['-t', `warm-up-${topic}`, '-n', `${records}`, '-s', '1024', ...replicas])
}

async function main(): Promise<number> {
  if (flags.list) {
    for (const row of rows) console.log(`${row.id.padEnd(14)} ${row.title}`)
    return 0
  }
  const selected = selectRows()
  const scale = flags.quick ? quickScale : fullScale
  const roundCount = Number(flags.rounds ?? (flags.quick ? 1 : 3))
  const systems = flags.systems.split(',') as System[]
  const commands = new Set<string>()
  const options: StageOptions = {
    kload: buildKload(),
    dir: resolve(flags.dir),
    shardCount: Number(flags.shards),
    commands
  }
  const results = new Results()
  const machine = describeMachine()
  say(`${roundCount} rounds of ${selected.map(row => row.id).join(', ')} on ${machine['cpu']}`)
  for (let round = 1; round <= roundCount; round++) {
    for (const name of Object.keys(blocks) as Block[]) {
      const block = selected.filter(row => row.block === name)
      // Who goes first finds the machine at rest: every other time it is the other one.
      for (const system of block.length === 0 ? [] : round % 2 === 1 ? systems : systems.toReversed()) {
        try {
          await runBlock(system, blocks[name], block, round, scale, options, results)
        } catch (error) {
          const text = `${system}, ${name}: ${error instanceof Error ? error.message : String(error)}`
          results.problems.push(text)
          say(text)
        }
      }
    }
  }
  const all = results.withMemory()
  const lines = summarise(all)
  const noise = all.flatMap(({ samples }) => Object.values(samples).flat())
  const highest = (metric: string): number => Math.max(0, ...noise.map(sample => sample.metrics[metric] ?? 0))
  const load = median(noise.flatMap(sample => sample.metrics['load'] ?? []))
  console.log(
    Object.entries(machine)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')
  )
  console.log(
    `noise: load average ${load.toFixed(1)} (highest ${highest('load').toFixed(1)}), steal at most ${highest('steal_s').toFixed(1)} s a run`
  )
  console.log(
    `medians of ${roundCount}; Milena with ${options.shardCount} shards; client unpinned on the same cores; commands:`
  )
  for (const command of commands) console.log(`  ${command}`)
  console.log(`\n${renderTable(lines)}\n`)
  const out = resolve(flags.out)
  mkdirSync(dirname(out), { recursive: true })
  const samples = Object.fromEntries(all.map(({ row, samples: each }) => [row.id, each]))
  const document = {
    date: new Date().toISOString(),
    machine,
    roundCount,
    scale,
    commands: [...commands],
    lines,
    samples,
    problems: results.problems
  }
  writeFileSync(out, `${JSON.stringify(document, null, 1)}\n`)
  const missed = lines
    .flatMap(line => [line.milena, line.kafka, line.kafkaFlush])
    .filter(cell => cell?.met === false).length
  for (const problem of results.problems) console.log(`PROBLEM ${problem}`)
  console.log(
    `${results.problems.length === 0 ? 'nothing was lost' : `${results.problems.length} problems`}; ${missed} goals missed; all figures in ${out}`
  )
  if (results.problems.length > 0) return 1
  return flags.gate && missed > 0 ? 2 : 0
}

process.exitCode = await main()
