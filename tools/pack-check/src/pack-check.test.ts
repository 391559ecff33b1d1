import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { importedPackages, readmeExample } from './readme-example.ts'
import { findPublishable, withSiblings } from './workspaces.ts'

const all = findPublishable(resolve(import.meta.dirname, '../../..'))

it('the example of a README is its first block of TypeScript', () => {
  const readme = '# x\n\n```sh\nnpm i\n```\n\n```ts\nconst a = 1\n```\n\n```ts\nconst b = 2\n```\n'
  expect(readmeExample(readme)).toBe('const a = 1\n')
  expect(readmeExample('# x\n')).toBeUndefined()
})

it('the five packages and the broker are published, the tools are not', () => {
  const expected = ['broker', 'gateway', 'raft', 'shard-scheduler', 'storage-engine', 'wire-protocol']
  expect(all.map(it => it.name).sort()).toEqual(expected.map(name => `@milena/${name}`))
})

it('a package is installed together with all of ours below it', () => {
  expect(withSiblings('@milena/gateway', all).sort()).toEqual(['@milena/gateway', '@milena/wire-protocol'])
  expect(withSiblings('@milena/raft', all)).toEqual(['@milena/raft'])
})

it('what an example imports by name can be installed for it', () => {
  const source =
    "import { a } from '@milena/raft/testing'\nimport { b } from 'kafkajs'\nimport { c } from 'node:fs'\nimport d from './d.ts'\n"
  expect(importedPackages(source)).toEqual(['@milena/raft', 'kafkajs'])
})
