/** What an operator asked for and did not get. */

/** The request is understood and cannot be done; the message says why. `status` is HTTP's. */
export class OperationError extends Error {
  readonly code = 'OPERATION'
  readonly status: 400 | 404 | 409 | 503
  constructor(status: OperationError['status'], message: string) {
    super(message)
    this.name = 'OperationError'
    this.status = status
  }
}
