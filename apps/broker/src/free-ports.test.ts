import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
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
