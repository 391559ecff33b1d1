import { ESLint } from 'eslint'
import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')
const linter = new ESLint({ cwd: root })

/** Rules that complain when the file at `path` has `text` in it. */
async function complaints(path: string, text: string): Promise<string[]> {
  const [result] = await linter.lintText(text, { filePath: join(root, path) })
  const fatal = result?.messages.find(message => message.fatal)
  if (fatal) throw new Error(fatal.message)
  return (result?.messages ?? []).map(message => message.ruleId ?? 'unknown')
}

const boundary = '@nx/enforce-module-boundaries'

// The first file that is linted brings in the whole linter and the graph of all projects.
beforeAll(async () => void (await complaints('packages/raft/src/index.ts', 'export {}\n')), 300_000)

describe('the boundaries between packages', () => {
  it('stop a leaf from knowing another leaf', async () => {
    const text = "import * as storage from '@milena/storage-engine'\nexport { storage }\n"
    expect(await complaints('packages/raft/src/index.ts', text)).toEqual([boundary])
  })

  it('stop a leaf from reaching into another by a relative path', async () => {
    const text = "import * as errors from '../../storage-engine/src/errors.ts'\nexport { errors }\n"
    expect(await complaints('packages/raft/src/index.ts', text)).toEqual([boundary])
  })

  it('stop a leaf from knowing the broker', async () => {
    const text = "import * as broker from '@milena/broker'\nexport { broker }\n"
    expect(await complaints('packages/shard-scheduler/src/index.ts', text)).toEqual([boundary])
  })

  it('let the gateway know the wire protocol and nothing else', async () => {
    const wire = "import * as wire from '@milena/wire-protocol'\nexport { wire }\n"
    const storage = "import * as storage from '@milena/storage-engine'\nexport { storage }\n"
    expect(await complaints('packages/gateway/src/index.ts', wire)).toEqual([])
    expect(await complaints('packages/gateway/src/index.ts', storage)).toEqual([boundary])
  })

  it('let the broker know all packages and no tool', async () => {
    const storage = "import * as storage from '@milena/storage-engine'\nexport { storage }\n"
    const tool = "import * as setup from '../../../tools/setup/src/checks.ts'\nexport { setup }\n"
    expect(await complaints('apps/broker/src/index.ts', storage)).toEqual([])
    expect(await complaints('apps/broker/src/index.ts', tool)).toContain(boundary)
  })
})

describe('the rule about ports', () => {
  const planted = [
    ['reads the clock', 'export const x = Date.now()\n', 'no-restricted-properties'],
    ['reads the monotonic clock', 'export const x = performance.now()\n', 'no-restricted-properties'],
    ['makes a date of the present moment', 'export const x = new Date()\n', 'no-restricted-syntax'],
    ['asks for chance', 'export const x = Math.random()\n', 'no-restricted-properties'],
    ['starts a timer', 'export const x = setTimeout(() => undefined, 1)\n', 'no-restricted-globals'],
    ['defers to the next turn', 'export const x = setImmediate(() => undefined)\n', 'no-restricted-globals'],
    ['reads the environment', 'export const x = process.env\n', 'no-restricted-properties'],
    [
      'opens files',
      "import { open } from 'node:fs/promises'\nexport { open }\n",
      '@typescript-eslint/no-restricted-imports'
    ],
    [
      'opens sockets',
      "import { connect } from 'node:net'\nexport { connect }\n",
      '@typescript-eslint/no-restricted-imports'
    ]
  ] as const

  it.each(planted)('stops a package that %s', async (_, text, rule) => {
    expect(await complaints('packages/raft/src/index.ts', text)).toEqual([rule])
  })

  it('lets a package name the types of such modules', async () => {
    const text = "import type { Socket } from 'node:net'\nexport type { Socket }\n"
    expect(await complaints('packages/raft/src/index.ts', text)).toEqual([])
  })

  it('makes exceptions only for files that exist', async () => {
    const { portImplementations } = (await import(join(root, 'eslint.ports.js'))) as { portImplementations: string[] }
    const stale = portImplementations.filter(pattern => globSync(pattern, { cwd: root }).length === 0)
    expect(stale).toEqual([])
  })

  it('cannot be switched off by a comment', async () => {
    const text = '// eslint-disable-next-line\nexport const x = Date.now()\n'
    expect(await complaints('packages/raft/src/index.ts', text)).toContain('no-restricted-properties')
  })
})

it('a promise that nobody awaits is an error', async () => {
  const text = 'const later = () => Promise.resolve(1)\nlater()\n'
  expect(await complaints('packages/raft/src/index.ts', text)).toEqual(['@typescript-eslint/no-floating-promises'])
})
