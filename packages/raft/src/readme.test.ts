import assert from 'node:assert'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'

const packageFolder = join(import.meta.dirname, '..')

test('The example in the README runs and prints what the README says.', () => {
  const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8')
  const [, example, printed] = /```ts\n(.*?)```.*?```text\n(.*?)```/s.exec(readme) ?? []
  assert.ok(example !== undefined && printed !== undefined)
  mkdirSync(join(packageFolder, 'tmp'), { recursive: true })
  const folder = mkdtempSync(join(packageFolder, 'tmp', 'readme-'))
  try {
    writeFileSync(join(folder, 'example.ts'), example)
    const output = execFileSync(process.execPath, ['--conditions=@milena/source', join(folder, 'example.ts')])
    assert.equal(output.toString(), printed)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
