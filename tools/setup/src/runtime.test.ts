import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const runtime = resolve(import.meta.dirname, '../runtime.mjs')

/** A process that becomes `program`; without execve it must keep a child, as an old Node does. */
function start(program: string, replace: boolean) {
  const source = `${replace ? '' : 'process.execve = undefined;'}
    const { become } = await import(${JSON.stringify(runtime)})
    await become(process.execPath, ['-e', ${JSON.stringify(program)}], process.env)`
  return spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
}

describe.each([
  ['by replacing itself', true],
  ['through a child', false]
])('a process that becomes another %s', (_, replace) => {
  it('ends with its exit code', async () => {
    const [code] = (await once(start('process.exitCode = 7', replace), 'exit')) as [number]
    expect(code).toBe(7)
  })

  it('hands it the signals that it gets', async () => {
    const program = "process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000); console.log('ready')"
    const child = start(program, replace)
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(3)
  })

  it('ends by the signal that ended the other', async () => {
    const [code, signal] = (await once(start("process.kill(process.pid, 'SIGKILL')", replace), 'exit')) as [
      null,
      string
    ]
    expect([code, signal]).toEqual([null, 'SIGKILL'])
  })
})
