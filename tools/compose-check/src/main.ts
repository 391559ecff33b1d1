/**
 * Does `docker compose up` do what the README says? Builds the image, starts the compose file under a project of its own, and
 * checks with an ordinary client:
 *
 *   host ── localhost:9092 ──► published port ──► broker      the client is told localhost, and reaches every shard there
 *   container ── milena:9092 ──► compose network ──► broker   the client is told the container's address
 *
 * Then restarts the container and reads everything again, and looks at a broker to which io_uring is forbidden. Takes the container down with its volume, whatever happened.
 * Ends with `N passed, N failed`; with exit code 75 and a reason where no container engine can be had.
 */
import { runProgram, type ProgramResult } from '@milena/bench'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../../..')
const baseImage = 'node:26-bookworm-slim'
const project = 'milena-check'
const skipCode = 75
const minutes = 60_000
const tally = { passed: 0, failed: 0 }

const docker = (args: readonly string[], timeoutMs = 2 * minutes, env: Record<string, string> = {}) =>
  runProgram('docker', args, { cwd: root, timeoutMs, env })
const compose = (...args: string[]) => docker(['compose', '-p', project, ...args])

/** Prints and counts one check. `expected` judges the output of a program that ended well. */
function note(check: string, result: ProgramResult, expected: (output: string) => boolean = () => true): boolean {
  const output = result.stdout.trim()
  const passed = result.code === 0 && expected(output)
  tally[passed ? 'passed' : 'failed'] += 1
  const detail = passed ? output.split('\n').at(-1) : `${output}\n${result.stderr.trim()}`
  process.stdout.write(`${passed ? 'passed' : 'FAILED'}  ${check}${detail ? `: ${detail}` : ''}\n`)
  return passed
}

/** Why the check cannot run here, if it cannot. */
async function obstacle(): Promise<string | undefined> {
  const engine = await docker(['info', '--format', '{{.ServerVersion}}']).catch(() => undefined)
  if (engine?.code !== 0) return 'no container engine answers'
  if ((await docker(['compose', 'version'])).code !== 0) return 'the engine has no compose command'
  if ((await docker(['image', 'inspect', baseImage])).code === 0) return undefined
  return (await docker(['pull', '--quiet', baseImage])).code === 0
    ? undefined
    : `${baseImage} can be neither found nor pulled`
}

async function build(): Promise<boolean> {
  // The classic builder where the newer one is not installed. The host's network, since a build network may have no way out.
  const newer = (await docker(['buildx', 'version'])).code === 0
  const args = ['build', '--network', 'host', '--tag', 'milena', '.']
  return note('the image builds', await docker(args, 15 * minutes, { DOCKER_BUILDKIT: newer ? '1' : '0' }), () => true)
}

const script = 'tools/compose-check/src/round-trip.ts'
const topic = `compose-${process.pid}`

const fromHost = (mode: string, name: string) =>
  runProgram(process.execPath, ['--disable-warning=ExperimentalWarning', script, mode, 'localhost:9092', name], {
    cwd: root
  })

const fromContainer = (mode: string, name: string) => {
  const mount = ['--volume', `${root}:${root}:ro`, '--workdir', root]
  const program = ['node', '--disable-warning=ExperimentalWarning', script, mode, 'milena:9092', name]
  return docker(['run', '--rm', '--network', `${project}_default`, ...mount, baseImage, ...program])
}

async function useIt(): Promise<void> {
  const started = performance.now()
  if (!note('compose starts it and it becomes healthy', await compose('up', '--detach', '--no-build', '--wait'))) {
    process.stdout.write((await compose('logs', '--tail', '50')).stdout)
    return
  }
  process.stdout.write(`        healthy after ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  note('it does not run as root', await compose('exec', 'milena', 'id', '-u'), output => output === '1000')
  const both = 'localhost:9092 and localhost:9093'
  note('a client on the host is told the published ports', await fromHost('write', `${topic}-host`), it =>
    it.endsWith(both)
  )
  const told = /through [\d.]+:9092 and [\d.]+:9093$/
  note('a client in another container is told its address', await fromContainer('write', `${topic}-net`), it =>
    told.test(it)
  )
  note('what the container wrote is read on the host', await fromHost('read', `${topic}-net`))
  note('it restarts', await compose('restart'))
  note('it becomes healthy again', await compose('up', '--detach', '--no-build', '--wait'))
  note('everything is still there', await fromHost('read', `${topic}-host`))
  note('it stops when told to', await compose('stop', '--timeout', '20'))
  note(
    'it stopped with exit code 0',
    await compose('ps', '--all', '--format', '{{.ExitCode}}'),
    output => output === '0'
  )
}

/** The broker where the kernel's filter forbids io_uring, as container engines do by default since 2023. */
async function useThreads(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'milena-seccomp-'))
  const profile = join(folder, 'profile.json')
  const calls = ['io_uring_setup', 'io_uring_enter', 'io_uring_register']
  const denied = { names: calls, action: 'SCMP_ACT_ERRNO', errnoRet: 1 }
  writeFileSync(profile, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [denied] }))
  const name = `${project}-threads`
  try {
    const options = ['--detach', '--rm', '--name', name, '--security-opt', `seccomp=${profile}`]
    note('it starts where io_uring is forbidden', await docker(['run', ...options, 'milena', '--shards', '1']))
    const until = performance.now() + minutes / 2
    let logs = ''
    while (!logs.includes('"ready"') && performance.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 250))
      logs = (await docker(['logs', name])).stderr
    }
    const said = logs.split('\n').filter(line => line.includes('io_uring is not used'))
    note('it says once why it uses threads', { code: said.length === 1 ? 0 : 1, stdout: said.join('\n'), stderr: logs })
  } finally {
    await docker(['rm', '--force', name])
    rmSync(folder, { recursive: true })
  }
}

const reason = await obstacle()
if (reason !== undefined) {
  process.stdout.write(`${reason}\n`)
  process.exitCode = skipCode
} else {
  try {
    if (await build()) {
      await useIt()
      await useThreads()
    }
  } finally {
    await compose('down', '--volumes', '--timeout', '5')
  }
  process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`)
  process.exitCode = tally.failed > 0 ? 1 : 0
}
