/** Logs: pino, JSON lines on standard error; readable on a terminal. */
import { createRequire } from 'node:module'
import type { PinoPretty as Pretty } from 'pino-pretty'
import { pino, type DestinationStream, type Logger } from 'pino'

/** The logger of a process. `bindings` (shard, node) stand in every line. Writes synchronously: nothing is lost in a crash. */
export function createLogger(level: string, bindings: object, stream = destination()): Logger {
  return pino({ level, base: { ...bindings }, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

function destination(): DestinationStream {
  if (process.stderr.isTTY) {
    const pretty = createRequire(import.meta.url)('pino-pretty') as typeof Pretty // loaded on terminals only: 30 ms
    return pretty({ destination: 2, sync: true, ignore: 'pid,hostname' })
  }
  return pino.destination({ dest: 2, sync: true })
}
