/**
 * Turns samples into the table and the JSON document: medians over rounds, Milena's ratio to each variant, goals met or not.
 */
import { cpus, release, totalmem } from 'node:os'
import { spawnSync } from 'node:child_process'
import type { Line, Row } from './rows.ts'
import { variantTitles, type Sample, type Variant } from './stage.ts'

/** All samples of a row, by variant, in the order of the rounds. */
export interface RowResult {
  readonly row: Pick<Row, 'id' | 'title' | 'lines'>
  readonly samples: Partial<Record<Variant, Sample[]>>
}

/** Middle value; mean of the two middle ones when there is no middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = Math.floor(sorted.length / 2)
  const upper = sorted[half] ?? NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? NaN)) / 2
}

export interface Cell {
  readonly median: number
  readonly values: readonly number[]
  /** Milena's median divided by this one. */
  readonly ratio: number
  readonly goal?: number
  readonly met?: boolean
}

export interface TableLine {
  readonly row: string
  readonly title: string
  readonly line: Line
  readonly milena: Cell | undefined
  readonly kafka: Cell | undefined
  readonly kafkaFlush: Cell | undefined
}

/** One line of the table for each line of each row. */
export function summarise(results: readonly RowResult[]): TableLine[] {
  return results.flatMap(({ row, samples }) =>
    row.lines.map(line => {
      const own = valuesOf(samples.milena, line.metric)
      const cell = (variant: Variant): Cell | undefined => {
        const values = valuesOf(samples[variant], line.metric)
        if (values.length === 0) return undefined
        const ratio = median(own) / median(values)
        const goal = variant === 'milena' ? line.limit : line.goals?.[variant]
        if (goal === undefined || own.length === 0) return { median: median(values), values, ratio }
        const reached = variant === 'milena' ? median(own) : ratio
        return {
          median: median(values),
          values,
          ratio,
          goal,
          met: line.better === 'more' ? reached >= goal : reached <= goal
        }
      }
      return {
        row: row.id,
        title: row.title,
        line,
        milena: cell('milena'),
        kafka: cell('kafka'),
        kafkaFlush: cell('kafkaFlush')
      }
    })
  )
}

function valuesOf(samples: readonly Sample[] | undefined, metric: string): number[] {
  return (samples ?? []).flatMap(sample => {
    const value = sample.metrics[metric]
    return value === undefined || !Number.isFinite(value) ? [] : [value]
  })
}

/** The table as text of fixed width. */
export function renderTable(lines: readonly TableLine[]): string {
  const header = [
    '',
    variantTitles.milena,
    variantTitles.kafka,
    'ratio',
    'goal',
    variantTitles.kafkaFlush,
    'ratio',
    'goal'
  ]
  const body: string[][] = []
  let row = ''
  for (const entry of lines) {
    if (entry.row !== row) body.push([entry.title])
    row = entry.row
    const { digits, better } = entry.line
    const sign = better === 'more' ? '>=' : '<='
    const number = (cell: Cell | undefined): string => (cell === undefined ? '' : format(cell.median, digits))
    const ratio = (cell: Cell | undefined): string =>
      cell === undefined || Number.isNaN(cell.ratio) ? '' : `${format(cell.ratio, 2)}x`
    const goal = (cell: Cell | undefined): string =>
      cell?.goal === undefined ? '' : `${sign} ${cell.goal}x ${mark(cell)}`
    const own = entry.milena?.goal === undefined ? '' : ` (${sign} ${entry.milena.goal} ${mark(entry.milena)})`
    body.push([
      ...[
        `  ${entry.line.label}`,
        number(entry.milena) + own,
        number(entry.kafka),
        ratio(entry.kafka),
        goal(entry.kafka)
      ],
      ...[number(entry.kafkaFlush), ratio(entry.kafkaFlush), goal(entry.kafkaFlush)]
    ])
  }
  const widths = header.map((title, i) =>
    Math.max(title.length, ...body.filter(cells => cells.length > 1).map(cells => cells[i]?.length ?? 0))
  )
  const text = (cells: readonly string[]): string =>
    cells.length === 1
      ? (cells[0] ?? '')
      : cells
          .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
          .join('  ')
          .trimEnd()
  return [text(header), ...body.map(text)].join('\n')
}

const mark = (cell: Cell): string => (cell.met === true ? 'yes' : 'NO')

function format(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** Where the figures were taken. */
export function describeMachine(): Record<string, string> {
  const first = (command: string, args: readonly string[]): string => {
    const result = spawnSync(command, args, { encoding: 'utf8' })
    return (result.stdout + result.stderr).split('\n')[0] ?? ''
  }
  return {
    cpu: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: `Linux ${release()}`,
    node: process.version,
    java: first('java', ['-version']),
    go: first('go', ['version']),
    disk: first('sh', ['-c', 'df -T . | tail -1 | tr -s " "'])
  }
}
