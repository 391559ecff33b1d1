/** Logs: pino, JSON lines on standard error; readable on a terminal. */
import { pino, type DestinationStream, type Logger } from 'pino'
import { PinoPretty } from 'pino-pretty'

/** The logger of a process. `bindings` (shard, node) stand in every line. Writes synchronously: nothing is lost in a crash. */
export function createLogger(level: string, bindings: object, stream = destination()): Logger {
  return pino({ level, base: { ...bindings }, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

function destination(): DestinationStream {
  if (process.stderr.isTTY) return PinoPretty({ destination: 2, sync: true, ignore: 'pid,hostname' })
  return pino.destination({ dest: 2, sync: true })
}
