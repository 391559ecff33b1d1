/** Runs a program to its end and keeps what it said. */
import { spawn } from 'node:child_process'

/** Result of a program: `output` is stdout and stderr as they came. */
export interface Ended {
  readonly passed: boolean
  readonly output: string
}

/** Time (ms) after which a program is killed and counts as failed. */
const deadlineMs = 600_000

/** `file` with `args` in `folder`. Never rejects: a program that cannot start has failed. */
export function runCommand(file: string, args: readonly string[], folder: string): Promise<Ended> {
  const environment = { ...process.env, NX_DAEMON: 'false', NX_NO_CLOUD: 'true', FORCE_COLOR: '0', NO_COLOR: '1' }
  // What npm tells its scripts about this repository must not lead another npm astray.
  for (const name of Object.keys(environment))
    if (/^npm_(config|package)_/i.test(name)) Reflect.deleteProperty(environment, name)
  return new Promise(resolve => {
    const child = spawn(file, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment,
      timeout: deadlineMs
    })
    const chunks: Buffer[] = []
    child.stdout.on('data', (bytes: Buffer) => chunks.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => chunks.push(bytes))
    child.once('error', error => resolve({ passed: false, output: error.message }))
    child.once('close', code => resolve({ passed: code === 0, output: Buffer.concat(chunks).toString() }))
  })
}
