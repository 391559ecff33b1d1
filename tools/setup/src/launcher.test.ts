import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'

const launcher = resolve(import.meta.dirname, '../../../apps/broker/bin/milena.js')
const folder = mkdtempSync(join(tmpdir(), 'milena-launcher-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a command of a checkout prints; no option of the test's own Node reaches it. */
async function run(...command: string[]): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await promisify(execFile)(process.execPath, command, { env })
  return stdout
}

it('runs the sources of a checkout that was never built, whatever flags its Node was given', async () => {
  expect(await run(launcher, '--help')).toContain('Usage: milena start')
  expect(await run('--conditions=@milena/source', launcher, '--help')).toContain('Usage: milena start')
})

it('runs them through the link that npm makes for npx, from any folder', async () => {
  const link = join(folder, 'milena')
  symlinkSync(launcher, link)
  expect(await run(link, 'settings')).toContain('store.memory.bytes')
})

it('hands a mistake on as exit code 1 with a message', async () => {
  await expect(run(launcher, 'begin')).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('begin') as string
  })
})
