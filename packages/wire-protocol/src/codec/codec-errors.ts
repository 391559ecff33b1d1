/**
 * What can go wrong between bytes and messages. Both errors carry a literal `code` to branch on; texts are for people and
 * never contain payload. A `DecodeError` means that the peer sent something malformed: its connection should be closed. An
 * `EncodeError` means that our own message does not fit the wire.
 */

export type DecodeErrorCode =
  /** The input ends inside a field, or a length points past the end. */
  | 'TRUNCATED'
  /** A negative length that does not mean null. */
  | 'INVALID_LENGTH'
  /** Null where the version does not allow it. */
  | 'UNEXPECTED_NULL'
  /** A varint of more than 32 bits. */
  | 'INVALID_VARINT'
  /** Tags that repeat or descend, or a known tagged field that does not fill its announced size. */
  | 'INVALID_TAG'
  /** More array elements than the reader's budget allows. */
  | 'TOO_MANY_ELEMENTS'
  /** A request header with an API key that nobody knows. */
  | 'UNKNOWN_API'

/** The input is malformed. `position` is where in the reader's bytes it was noticed. */
export class DecodeError extends Error {
  readonly code: DecodeErrorCode
  readonly position: number
  constructor(code: DecodeErrorCode, position: number, message: string) {
    super(`${code} at byte ${position}: ${message}`)
    this.name = 'DecodeError'
    this.code = code
    this.position = position
  }
}

/** Why a message cannot be encoded. */
export type EncodeErrorCode =
  /** A field that the version cannot carry, that may not be lost, and that is not at its default. */
  | 'UNSUPPORTED_FIELD'
  /** Null where the version does not allow it. */
  | 'UNEXPECTED_NULL'
  /** A number that does not fit its type, or a string, array or frame longer than its length prefix can say. */
  | 'OUT_OF_RANGE'
  /** A value of another type than the field's. */
  | 'WRONG_TYPE'
  /** A version outside `api.versions`. */
  | 'UNSUPPORTED_VERSION'

/** The message cannot be encoded. `field` is its name in the schema, when one is to blame. */
export class EncodeError extends Error {
  readonly code: EncodeErrorCode
  readonly field: string | undefined
  constructor(code: EncodeErrorCode, message: string, field?: string) {
    super(field === undefined ? `${code}: ${message}` : `${code} ${field}: ${message}`)
    this.name = 'EncodeError'
    this.code = code
    this.field = field
  }
}
