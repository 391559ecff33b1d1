/** What a run ends with when a property does not hold. */
export class Violation extends Error {
  /** Name of the property: the name of its checker's file. */
  readonly property: string
  /** Simulated milliseconds. */
  readonly atMs: number

  constructor(property: string, explanation: string, atMs: number) {
    super(`${property}: ${explanation} (at ${atMs.toFixed(3)} ms)`)
    this.name = 'Violation'
    this.property = property
    this.atMs = atMs
  }
}
