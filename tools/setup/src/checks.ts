/**
 * What `npm test` checks: formatting, lint (with the boundaries between packages and the rule about ports), types, and then all
 * tests. The first three run side by side, one per core; a failure of one hides no other. Arguments narrow the tests:
 * `npm test -- packages/raft`. The last line is `N passed, N failed`.
 *
 * Types and formatting keep caches in node_modules/.cache and look only at what changed. Lint does not: its rules look beyond the
 * file that they judge, and ESLint's cache does not.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'

interface Check {
  readonly name: string
  readonly command: readonly string[]
}

interface Outcome {
  readonly name: string
  readonly passed: boolean
}

const root = resolve(import.meta.dirname, '../../..')
const cache = join(root, 'node_modules/.cache/milena')

/** The script behind a command of an installed package, without the shims of node_modules/.bin. */
function tool(packageName: string, command = packageName): string {
  const folder = join(root, 'node_modules', packageName)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    bin: string | Record<string, string>
  }
  const script = typeof bin === 'string' ? bin : bin[command]
  if (script === undefined) throw new Error(`${packageName} has no command ${command}`)
  return join(folder, script)
}

const staticChecks: readonly Check[] = [
  {
    name: 'lint',
    command: [tool('eslint'), '.', '--max-warnings=0']
  },
  {
    name: 'types',
    command: [
      tool('typescript', 'tsc'),
      '-p',
      'tsconfig.json',
      '--incremental',
      '--tsBuildInfoFile',
      join(cache, 'types.tsbuildinfo')
    ]
  },
  {
    name: 'formatting',
    command: [
      tool('prettier'),
      '--check',
      '.',
      '--cache',
      '--cache-location',
      join(cache, 'prettier'),
      '--log-level=warn'
    ]
  }
]

/** Where vitest leaves its counts. */
const testReport = join(cache, 'tests.json')

const tests = (filters: readonly string[]): Check => ({
  name: 'tests',
  command: [
    tool('vitest'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${testReport}`,
    ...filters
  ]
})

/** Runs one check. Output is held back until the end when `quiet`, so that checks side by side do not mix theirs. */
function run(check: Check, quiet: boolean): Promise<Outcome> {
  const started = performance.now()
  const held: Buffer[] = []
  const child = spawn(process.execPath, check.command, {
    cwd: root,
    stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    env: { ...process.env, NX_DAEMON: 'false', NX_NO_CLOUD: 'true', ...(quiet ? { FORCE_COLOR: '0' } : {}) }
  })
  child.stdout?.on('data', (bytes: Buffer) => held.push(bytes))
  child.stderr?.on('data', (bytes: Buffer) => held.push(bytes))
  return new Promise((settle, reject) => {
    child.once('error', reject)
    child.once('close', code => {
      const seconds = (performance.now() - started) / 1000
      const passed = code === 0
      if (!passed) process.stdout.write(Buffer.concat(held))
      process.stdout.write(`${passed ? 'passed' : 'FAILED'}  ${check.name} (${seconds.toFixed(1)} s)\n`)
      settle({ name: check.name, passed })
    })
  })
}

/** Runs checks in order, `width` at a time. */
async function runAll(checks: readonly Check[], width: number): Promise<Outcome[]> {
  const waiting = [...checks]
  const outcomes: Outcome[] = []
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift())
      outcomes.push(await run(check, true))
  }
  await Promise.all(Array.from({ length: width }, worker))
  return outcomes
}

/** Tests that passed and failed, as vitest counted them; none when it did not get that far. */
function countTests(): { passed: number; failed: number } {
  try {
    const report = JSON.parse(readFileSync(testReport, 'utf8')) as { numPassedTests: number; numFailedTests: number }
    return { passed: report.numPassedTests, failed: report.numFailedTests }
  } catch {
    return { passed: 0, failed: 0 }
  }
}

rmSync(testReport, { force: true })
const outcomes = await runAll(staticChecks, Math.min(availableParallelism(), staticChecks.length))
const tested = await run(tests(process.argv.slice(2)), false)
const counted = countTests()
const passed = counted.passed + outcomes.filter(outcome => outcome.passed).length
// A run that failed without a failed test (a file that does not load, an unhandled rejection) is one failure.
const failedTests = tested.passed ? 0 : Math.max(1, counted.failed)
const failed = failedTests + outcomes.filter(outcome => !outcome.passed).length
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed > 0 ? 1 : 0
