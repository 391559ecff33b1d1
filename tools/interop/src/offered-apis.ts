/** Asks a broker with ApiVersions v0, byte by byte so that no client library decides for us, what it offers. */
import { connect } from 'node:net'

/** Keys of the APIs that the broker on this port of loopback advertises. Rejects when it does not answer in 5 s. */
export function offeredApis(port: number): Promise<Set<number>> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let received = Buffer.alloc(0)
    socket.setTimeout(30_000, () => socket.destroy(new Error(`no ApiVersions answer on port ${port}`)))
    socket.once('error', reject)
    socket.once('connect', () => socket.write(Buffer.from('0000000a0012000000000001ffff', 'hex')))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readUInt32BE(0)) return
      socket.destroy()
      resolve(new Set(keysOf(received)))
    })
  })
}

/** size 4, correlation id 4, error 2, count 4, then key, lowest and highest version of 2 bytes each. */
function keysOf(answer: Buffer): number[] {
  const count = answer.readInt32BE(10)
  return Array.from({ length: count }, (_, i) => answer.readInt16BE(14 + 6 * i))
}
