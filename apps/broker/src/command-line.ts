/**
 * The command line of `milena start` and the settings file: both become raw settings that settings/parse.ts checks.
 */
import { parseArgs } from 'node:util'
import { SettingsError, type RawSettings } from './settings/parse.ts'

export const usage = `Usage: milena start [options]

  --data-dir DIR       data folder (log.dirs)                        default ./data
  --kafka-port PORT    Kafka port; shard i listens on PORT + i       default 9092
  --host HOST          address that the Kafka and admin ports bind   default 127.0.0.1 (all: 0.0.0.0)
  --admin-port PORT    admin HTTP port, -1 for none                  default 9644
  --shards N           shards, one pinned process each               default one per core
  --seeds H:P,...      rpc addresses of the nodes that form the cluster   default none: alone
  --rpc-port PORT      port for other nodes; shard i listens on PORT + i  default 33145
  --node-id N          number of this machine in the cluster         default automatic
  --config FILE        YAML file with settings, flat or nested
  -o key=value         any setting by its (Kafka) name; repeatable
  -h, --help           this text

Later ones win: defaults, --config, -o, the short options. \`milena settings\` lists every setting.
`

export interface StartArguments {
  /** Settings of the file and the command line, unchecked. */
  readonly raw: RawSettings
  readonly help: boolean
}

/** Reads the arguments after \`start\`. Throws a SettingsError for what it does not understand. */
export async function parseStartArguments(
  args: readonly string[],
  readFile: (path: string) => string
): Promise<StartArguments> {
  const { values } = readArguments(args)
  const raw = new Map<string, string>()
  if (values.config !== undefined) {
    for (const [name, text] of await flattenYaml(readFile(values.config), values.config)) raw.set(name, text)
  }
  for (const assignment of values.option ?? []) {
    const at = assignment.indexOf('=')
    if (at <= 0) throw new SettingsError([`-o ${assignment}: expected key=value`])
    raw.set(assignment.slice(0, at).trim(), assignment.slice(at + 1))
  }
  if (values['data-dir'] !== undefined) raw.set('log.dirs', values['data-dir'])
  if (values.shards !== undefined) raw.set('num.shards', values.shards)
  if (values['node-id'] !== undefined) raw.set('node.id', values['node-id'])
  const { host } = values
  if (values['kafka-port'] !== undefined || host !== undefined) {
    raw.set('listeners', `PLAINTEXT://${bracket(host ?? '127.0.0.1')}:${values['kafka-port'] ?? '9092'}`)
  }
  if (values.seeds !== undefined) raw.set('seeds', values.seeds)
  if (values['rpc-port'] !== undefined) {
    raw.set('rpc.listener', `${bracket(host ?? '127.0.0.1')}:${values['rpc-port']}`)
  }
  if (values['admin-port'] !== undefined || host !== undefined) {
    raw.set('admin.listener', `${bracket(host ?? '127.0.0.1')}:${values['admin-port'] ?? '9644'}`)
  }
  return { raw, help: values.help ?? false }
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: args.map(joinNegative(args)).filter(arg => arg !== ''),
      options: {
        'data-dir': { type: 'string' },
        'kafka-port': { type: 'string' },
        host: { type: 'string' },
        'admin-port': { type: 'string' },
        shards: { type: 'string' },
        'node-id': { type: 'string' },
        seeds: { type: 'string' },
        'rpc-port': { type: 'string' },
        config: { type: 'string' },
        option: { type: 'string', short: 'o', multiple: true },
        help: { type: 'boolean', short: 'h' }
      },
      strict: true,
      allowPositionals: false
    })
  } catch (error) {
    throw new SettingsError([error instanceof Error ? error.message : String(error)])
  }
}

/** `--admin-port -1` as people write it: parseArgs wants `--admin-port=-1`. */
function joinNegative(args: readonly string[]): (arg: string, index: number) => string {
  return (arg, index) => {
    const next = args[index + 1]
    if (arg.startsWith('--') && !arg.includes('=') && next !== undefined && /^-\d+$/.test(next)) return `${arg}=${next}`
    const previous = args[index - 1]
    return /^-\d+$/.test(arg) && previous?.startsWith('--') === true && !previous.includes('=') ? '' : arg
  }
}

const bracket = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host)

/** Settings of a YAML text: `log: {segment: {bytes: 1}}` and `log.segment.bytes: 1` are the same. Lists become commas. */
async function flattenYaml(text: string, file: string): Promise<Map<string, string>> {
  const { parse } = await import('yaml') // 50 ms of start-up that only a start with a file pays
  const flat = new Map<string, string>()
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) flat.set(path, value.map(String).join(','))
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) walk(inner, path === '' ? key : `${path}.${key}`)
    } else if (path === '') {
      if (value !== null) throw new SettingsError([`${file}: expected settings, found ${String(value)}`])
    } else flat.set(path, value === null ? '' : String(value))
  }
  let document: unknown
  try {
    document = parse(text, { intAsBigInt: true })
  } catch (error) {
    throw new SettingsError([`${file}: ${error instanceof Error ? error.message : String(error)}`])
  }
  walk(document, '')
  return flat
}
