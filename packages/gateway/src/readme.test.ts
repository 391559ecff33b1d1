import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const folder = join(import.meta.dirname, '..', 'tmp')

test('the example of the README runs and prints what it says', () => {
  const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1]
  const promised = /It prints\n\n```text\n([\s\S]*?)```/.exec(readme)?.[1]
  if (example === undefined || promised === undefined) return expect.fail('there is no example')
  const file = join(folder, `readme-${process.pid}.ts`)
  mkdirSync(folder, { recursive: true })
  try {
    writeFileSync(file, example)
    const args = ['--conditions=@milena/source', '--disable-warning=ExperimentalWarning', file]
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe(promised)
  } finally {
    rmSync(file, { force: true })
  }
})
