import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, vi } from 'vitest'

it('runs the example of the README', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!
  const folder = join(import.meta.dirname, '..', 'tmp')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `readme-example-${process.pid}.ts`)
  writeFileSync(path, example)
  const lines: string[] = []
  const spy = vi.spyOn(console, 'log').mockImplementation((...parts) => void lines.push(parts.join(' ')))
  try {
    await import(pathToFileURL(path).href)
  } finally {
    spy.mockRestore()
    rmSync(path)
  }
  expect(lines).toEqual(['orders is durable up to 2', 'milk survived the power cut'])
})
