import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')
const sources = globSync(['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts'], { cwd: root })
  .filter(path => !path.endsWith('.test.ts'))
  .map(path => readFileSync(join(root, path), 'utf8'))
  .join('\n')

const documents = globSync(['*.md', 'docs/**/*.md', 'packages/*/README.md', 'apps/*/README.md', 'tools/*/README.md'], {
  cwd: root
})

describe('the documents', () => {
  it.each(documents)('%s links to files that exist', path => {
    const targets = [...readFileSync(join(root, path), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(
      match => match[1]
    )
    const missing = targets.filter(target => !existsSync(join(root, dirname(path), target ?? '')))
    expect(missing).toEqual([])
  })

  it('list limits by names that the code has', () => {
    const text = readFileSync(join(root, 'docs/LIMITS.md'), 'utf8')
    const named = [...text.matchAll(/`([A-Za-z0-9_.]+)`/g)].map(match => match[1] ?? '')
    const unknown = named.filter(name => !sources.includes(name))
    expect(unknown).toEqual([])
  })
})
