/**
 * Writing the zigzag varints that records are made of; reading them is the record cursor's. Positions in, positions out:
 * every function returns the position after what it wrote, and the caller made sure of the space.
 */

/** The most bytes that a varint of 32 bits takes. */
export const varintBytesMax = 5

const safeDeltaMax = 2 ** 52

/** Writes an int32. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  while (rest > 0x7f) {
    bytes[position++] = rest | 0x80
    rest >>>= 7
  }
  bytes[position++] = rest
  return position
}

/** Writes an int64. */
export function writeVarlong(bytes: Uint8Array, position: number, value: bigint): number {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  while (rest > 0x7fn) {
    bytes[position++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  bytes[position++] = Number(rest)
  return position
}

/** Writes an integer that a double holds exactly (up to 2^52), without a bigint. */
export function writeSafeVarlong(bytes: Uint8Array, position: number, value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  while (rest > 0x7f) {
    bytes[position++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  bytes[position++] = rest
  return position
}

/** Whether `writeSafeVarlong` may write the value. */
export function isSafeVarlong(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= safeDeltaMax
}

/** Bytes that `writeVarint` will take. */
export function varintBytes(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  return raw < 0x80 ? 1 : raw < 0x4000 ? 2 : raw < 0x200000 ? 3 : raw < 0x10000000 ? 4 : 5
}

/** Bytes that `writeSafeVarlong` and `writeVarlong` will take. */
export function varlongBytes(value: bigint): number {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  let count = 1
  while (rest > 0x7fn) {
    rest >>= 7n
    count++
  }
  return count
}

/** The same for a value that `isSafeVarlong`. */
export function safeVarlongBytes(value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  let count = 1
  while (rest > 0x7f) {
    rest = Math.floor(rest / 128)
    count++
  }
  return count
}
