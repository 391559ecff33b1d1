import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test, vi } from 'vitest'
import { freePorts } from './free-ports.ts'

test('ports that were given once, or that somebody listens on, are not given again', async () => {
  const first = await freePorts(2)
  const server = createServer().listen(first + 3, '127.0.0.1')
  await once(server, 'listening')
  try {
    expect(await freePorts(2)).toBe(first + 4)
  } finally {
    server.close()
  }
})

test('nobody else is given ports of the same hundred, whether or not somebody listens on them', async () => {
  const ours = [await freePorts(60), await freePorts(60)]
  vi.resetModules()
  const other = await import('./free-ports.ts')
  const theirs = [await other.freePorts(60), await other.freePorts(60)]
  const hundreds = (ports: number[]): Set<number> => new Set(ports.map(port => Math.floor(port / 100)))
  expect(hundreds([...ours, ...theirs]).size).toBe(4)
})

test('more ports than a block has are refused', async () => {
  await expect(freePorts(100)).rejects.toThrow('100 ports in a row, of at most 99')
})
