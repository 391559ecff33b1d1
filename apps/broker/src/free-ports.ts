/**
 * Ports on 127.0.0.1 for nodes whose addresses must be known before they listen, and while they are stopped.
 *
 * A process has blocks of ports of its own: it listens on the first port of a block as long as it lives. What it hands out of them
 * nobody takes who asks here, in whatever process: not between the look at a port and its use, and not while a node is stopped.
 */
import { createServer } from 'node:net'

/** Below the ports that Linux, macOS and Windows hand to outgoing connections, which would take one between the look and the use. */
const FIRST = 20_000
const COUNT = 12_000
const BLOCK = 100

/** The next port of the block that this process took last, and the end of that block. */
let next = 0
let end = 0

/** The first of `count` ports in a row, at most 99, that are free now. This process gets none of them a second time. */
export async function freePorts(count: number): Promise<number> {
  if (count >= BLOCK) throw new RangeError(`${count} ports in a row, of at most ${BLOCK - 1}`)
  for (;;) {
    while (next + count > end) await takeBlock()
    const first = next
    next += count
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)))
    if (!free.includes(false)) return first
  }
}

/** Takes the first block that no process has. It goes back when this process ends, however it does. */
async function takeBlock(): Promise<void> {
  const blockCount = COUNT / BLOCK
  for (let i = 0; i < blockCount; i++) {
    const first = FIRST + ((process.pid + i) % blockCount) * BLOCK
    if (!(await listens(first, false))) continue
    next = first + 1
    end = first + BLOCK
    return
  }
  throw new Error(`found no block of ${BLOCK} ports that is not taken`)
}

const isFree = (port: number): Promise<boolean> => listens(port, true)

/** Whether a server could listen on `port`. It closes at once or keeps the port, which keeps no process alive. */
function listens(port: number, closes: boolean): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer().unref()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => {
      if (closes) server.close(() => resolve(true))
      else resolve(true)
    })
  })
}
