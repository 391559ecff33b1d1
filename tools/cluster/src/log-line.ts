/** Log lines of nodes for people: which node, when, what, and the fields behind it. */

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'ERROR',
  60: 'FATAL'
}
const COLOURS = [36, 33, 35, 32, 34, 31] as const

/** One line of a node's standard error; lines that are not JSON as they are. */
export function formatLine(node: number, line: string, coloured: boolean): string {
  const label = coloured ? `\u001b[${COLOURS[node % COLOURS.length]}mnode ${node}\u001b[0m` : `node ${node}`
  const entry = parse(line)
  if (entry === undefined) return `${label} | ${line}`
  const { level, time, msg, shard, err, ...fields } = entry
  const where = typeof shard === 'number' ? ` shard ${shard}` : ''
  const clock = typeof time === 'string' ? time.slice(11, 23) : ''
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${textOf(value)}`)
  const error = typeof err === 'object' && err !== null ? ` ${textOf((err as { stack?: unknown }).stack)}` : ''
  return `${label} | ${clock} ${LEVELS[Number(level)] ?? ''}${where}: ${textOf(msg)} ${rest.join(' ')}${error}`.trimEnd()
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
