/** Ports on 127.0.0.1 for nodes whose addresses must be known before they listen. */
import { createServer } from 'node:net'

/** Below the ports that Linux, macOS and Windows hand to outgoing connections, which would take one between the look and the use. */
const FIRST = 20_000
const COUNT = 12_000
/** Processes begin this far from each other if their pids are neighbours, as those of a test runner's workers are. */
const STRIDE = 997

let next = (process.pid * STRIDE) % COUNT

/** The first of `count` ports in a row that are free now. This process gets none of them a second time until all were tried. */
export async function freePorts(count: number): Promise<number> {
  for (let tried = 0; tried < COUNT; tried += count) {
    if (next + count > COUNT) next = 0
    const first = FIRST + next
    next += count
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)))
    if (!free.includes(false)) return first
  }
  throw new Error(`found no ${count} free ports in a row`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)))
  })
}
