/**
 * What happened, as a hash always and as text on demand. Two runs of the same seed must have the same hash: it takes in the
 * time of every event and what the parts of the simulation add.
 *
 *      time/ms  where  what          details
 *     1043.218  n2     vote          term 4 from n1, granted
 */
import { hashString } from './random.ts'

const labelHashes = new Map<string, number>()

/** Hash of a label; remembered, because labels are few. */
function labelHash(label: string): number {
  let hash = labelHashes.get(label)
  if (hash === undefined) labelHashes.set(label, (hash = hashString(label)[0]))
  return hash
}

export class Trace {
  #high = 0x2545f491
  #low = 0x4f6cdd1d
  #print: ((line: string) => void) | undefined
  readonly #nowMs: () => number

  constructor(nowMs: () => number, print: ((line: string) => void) | undefined) {
    this.#nowMs = nowMs
    this.#print = print
  }

  /** Lines are wanted: only then is it worth to make text. */
  get printing(): boolean {
    return this.#print !== undefined
  }

  /** Takes a number (its low 32 bits) into the hash. */
  mix(value: number): void {
    this.#high = Math.imul(this.#high ^ value, 0x9e3779b1)
    this.#high ^= this.#high >>> 15
    this.#low = (Math.imul(this.#low, 0x5f356495) + this.#high) | 0
  }

  /** Takes a label and numbers that say what happened into the hash. */
  note(label: string, where: number, detail = 0): void {
    this.mix(labelHash(label))
    this.mix(where)
    this.mix(detail)
  }

  /** Prints a line. Guard calls with `printing`. */
  line(where: string, what: string, details: string): void {
    this.#print?.(`${this.#nowMs().toFixed(3).padStart(10)}  ${where.padEnd(6)} ${what.padEnd(20)} ${details}`)
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low)
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
