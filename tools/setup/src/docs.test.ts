import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const matchesOf = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(match => match[1] ?? '')

const documents = globSync(['*.md', 'docs/**/*.md', 'packages/*/README.md', 'apps/*/README.md', 'tools/*/README.md'], {
  cwd: root
})
const sourcePaths = globSync(['packages/*/src/**/*.ts', 'apps/*/src/**/*.ts', 'tools/*/**/*.{ts,mjs}', '*.{js,ts}'], {
  cwd: root,
  exclude: path => path.endsWith('node_modules')
})

describe('the documents', () => {
  it.each(documents)('%s links to files that exist, and names none that do not', path => {
    const text = read(path)
    const linked = matchesOf(text, /\]\((?!https?:|#)([^)#]+)/g).map(target => join(dirname(path), target))
    const named = matchesOf(text, /(?<![\w/.-])((?:packages|apps|tools|docs)\/[\w./-]*\w)/g)
    expect([...linked, ...named].filter(target => !existsSync(join(root, target)))).toEqual([])
  })

  it('list limits by names that the code has', () => {
    const code = sourcePaths
      .filter(path => !path.startsWith('tools') && !path.endsWith('.test.ts'))
      .map(read)
      .join('\n')
    const named = matchesOf(read('docs/LIMITS.md'), /`([A-Za-z0-9_.]+)`/g)
    expect(named.filter(name => !code.includes(name))).toEqual([])
  })
})

describe('the comments', () => {
  it('name source files that exist', () => {
    const isKnown = (name: string): boolean => sourcePaths.some(path => `/${path}`.endsWith(`/${name}`))
    const missing = sourcePaths.flatMap(path => {
      const comments = matchesOf(read(path), /^\s*((?:\/?\*|\/\/).*)/gm).join('\n')
      return matchesOf(comments, /(?<![\w/.-])((?:[\w-]+\/)*[\w.-]+\.(?:ts|mjs))\b/g)
        .filter(name => !isKnown(name))
        .map(name => `${path}: ${name}`)
    })
    expect(missing).toEqual([])
  })
})
