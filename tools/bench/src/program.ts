/**
 * Runs programs to their end and collects what they print: clients in other languages, command-line tools, compilers. Always with
 * a time limit; a program that exceeds it is killed and reported as failed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

export interface ProgramResult {
  /** Exit code; -1 when killed. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Resolves whatever the exit code; rejects only when the program cannot be started. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: {
    input?: string | Uint8Array
    timeoutMs?: number
    cwd?: string
    env?: Readonly<Record<string, string>>
  } = {}
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 120_000,
      killSignal: 'SIGKILL'
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.once('error', reject)
    child.once('close', code => {
      const stderr = Buffer.concat(err).toString()
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(out).toString(),
        stderr: code === null ? `${stderr}(killed)` : stderr
      })
    })
    child.stdin.once('error', () => undefined)
    child.stdin.end(options.input)
  })
}

/** Like `runProgram`, but an exit code other than 0 rejects with what the program printed. Resolves with its stdout. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: Parameters<typeof runProgram>[2] = {}
): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command, args, options)
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout.slice(-2000)}${stderr.slice(-2000)}`)
  return stdout
}

/** What is missing to build Go programs, in words; null when nothing is. */
export function missingForGo(): string | null {
  return spawnSync('go', ['version']).status === 0 ? null : 'go is not on the PATH'
}

/** Builds the Go program in `sourceDir` (quick when nothing changed) and returns the path of the executable. */
export function buildGo(sourceDir: string, name: string): string {
  const outputDir = join(import.meta.dirname, '../../../node_modules/.cache/milena')
  mkdirSync(outputDir, { recursive: true })
  const output = join(outputDir, name)
  const result = spawnSync('go', ['build', '-o', output, '.'], { cwd: sourceDir, encoding: 'utf8', timeout: 600_000 })
  if (result.status !== 0) throw new Error(`go build in ${sourceDir} failed:\n${result.stderr}`)
  return output
}

/** The load generator (../kload), built from source. */
export function buildKload(): string {
  return buildGo(join(import.meta.dirname, '../kload'), 'kload')
}
