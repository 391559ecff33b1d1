/**
 * What `milena` does with its arguments (bin/milena.js loads it). Composition root: the only file of the broker that ends the
 * process.
 */
import { readFileSync } from 'node:fs'
import { parseStartArguments, usage } from './command-line.ts'
import { createLogger } from './logging.ts'
import { settingsText } from './settings/describe.ts'
import { parseBrokerSettings, SettingsError } from './settings/parse.ts'

/** A second signal within this time is the same wish, told twice. */
const REPEATED_SIGNAL_MS = 1_000

/** Runs one command; ends when it is done, or, for `start`, when the node is ready. */
export async function main([command, ...args]: readonly string[]): Promise<void> {
  switch (command) {
    case 'start':
      return start(args)
    case 'settings':
      return void process.stdout.write(settingsText())
    case 'help':
    case '--help':
    case '-h':
    case undefined:
      return void process.stdout.write(usage)
    default:
      refuse(`unknown command ${command}\n\n${usage}`)
  }
}

async function start(startArgs: readonly string[]): Promise<void> {
  try {
    const { raw, help } = await parseStartArguments(startArgs, path => readFileSync(path, 'utf8'))
    if (help) return void process.stdout.write(usage)
    const settings = parseBrokerSettings(raw)
    const log = createLogger(settings['log.level'], {})
    const { superviseNode } = await import('./node/supervise.ts')
    const node = await superviseNode(settings, log)
    let stoppingSinceMs: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (stoppingSinceMs !== undefined) {
          // Ctrl-C under npm arrives twice, from the terminal and from npm: only a later one means "now".
          if (performance.now() - stoppingSinceMs > REPEATED_SIGNAL_MS) process.exit(1)
          return
        }
        stoppingSinceMs = performance.now()
        log.info({ signal }, 'draining')
        void node.stop().then(() => process.exit(0))
      })
    }
    await node.ready
    log.info({ shards: node.shardCount, tookMs: Math.round(performance.now()), data: settings['log.dirs'] }, 'ready')
  } catch (error) {
    if (error instanceof SettingsError) refuse(error.message)
    refuse(error instanceof Error ? error.message : String(error))
  }
}

function refuse(message: string): never {
  process.stderr.write(`milena: ${message}\n`)
  process.exit(1)
}
