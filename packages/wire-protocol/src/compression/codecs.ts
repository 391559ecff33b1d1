/**
 * The compression codecs of record batches: their numbers in the attributes field, their names, and the error that all of
 * them speak. Only names and types here, so that the header accessors stay free of native modules.
 */

/** Codecs in the order of their numbers: none 0, gzip 1, snappy 2, lz4 3, zstd 4. */
export const codecNames = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** Name of a codec, as in Kafka's `compression.type`. */
export type CodecName = (typeof codecNames)[number]

/** The name of a codec number from a batch's attributes; undefined for 5 to 7, which nobody has defined. */
export function codecName(codec: number): CodecName | undefined {
  return codecNames[codec]
}

/** The number that goes into a batch's attributes. */
export function codecNumber(name: CodecName): number {
  return codecNames.indexOf(name)
}

/**
 * Why compressed bytes were refused: TOO_LARGE, their contents would exceed the caller's limit; CORRUPT, they are damaged or ask
 * for what Kafka does not read either (dictionaries, linked lz4 blocks, zstd windows above 128 MiB) or what only costs time
 * (very many tiny blocks); UNSUPPORTED, the codec's native module is missing on this platform.
 */
export type CompressionErrorCode = 'TOO_LARGE' | 'CORRUPT' | 'UNSUPPORTED'

/** Thrown by `compress` and `decompress`; `cause` keeps the library's own error where there was one. */
export class CompressionError extends Error {
  override readonly name = 'CompressionError'
  readonly code: CompressionErrorCode
  readonly codec: CodecName

  constructor(code: CompressionErrorCode, codec: CodecName, message: string, cause?: unknown) {
    super(`${codec}: ${message}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.codec = codec
  }
}

/** A Buffer from a library as a plain Uint8Array over the same memory: Buffer's `slice` is a view, ours a copy. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
