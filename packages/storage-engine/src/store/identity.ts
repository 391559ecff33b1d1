/**
 * The store's identity: 16 random bytes in a file of its own (`identity`) and in the state store. The file is the witness that
 * a store exists here, outside LMDB, which opens a missing or empty data file silently as an empty database: when the file is
 * there and the state does not know it, the state was lost. The state knowing another identity means that folders were mixed.
 */
import type { Disk } from '../disk.ts'
import { crc32c } from '../bytes.ts'
import { StoreError } from '../errors.ts'
import type { CheckedState } from '../state/checked-state.ts'

const stateKey = 'identity'

export interface Identity {
  readonly bytes: Uint8Array
  /** The state store had been lost. */
  readonly stateLost: boolean
}

export async function establishIdentity(
  disk: Disk,
  directory: string,
  state: CheckedState,
  newIdentity: () => Uint8Array
): Promise<Identity> {
  const witness = await readWitness(disk, directory)
  const known = state.get(stateKey)
  if (witness !== undefined && known !== undefined && toHex(witness) !== toHex(known))
    throw new StoreError(
      'IDENTITY_MISMATCH',
      `${directory}/identity is ${toHex(witness)}, the state store is of ${toHex(known)}`
    )
  const stateLost = witness !== undefined && known === undefined
  const bytes = witness ?? known ?? newIdentity()
  if (known === undefined) await state.put(stateKey, bytes)
  if (witness === undefined) await writeWitness(disk, directory, bytes)
  return { bytes, stateLost }
}

function line(bytes: Uint8Array): string {
  const hex = toHex(bytes)
  return `milena store 1 ${hex} ${crc32c(new TextEncoder().encode(hex)).toString(16)}\n`
}

async function readWitness(disk: Disk, directory: string): Promise<Uint8Array | undefined> {
  if (!(await disk.list(directory)).includes('identity')) return undefined
  const path = `${directory}/identity`
  const file = await disk.open(path, { mode: 'read', direct: false, durable: false })
  try {
    const buffer = new Uint8Array(256)
    const text = new TextDecoder().decode(buffer.subarray(0, await file.read(buffer, 0)))
    const hex = /^milena store 1 ([0-9a-f]{32}) /.exec(text)?.[1]
    const bytes = hex === undefined ? undefined : Uint8Array.fromHex(hex)
    if (bytes === undefined || line(bytes) !== text) throw new StoreError('CORRUPT', `${path} is not an identity file`)
    return bytes
  } finally {
    await file.close()
  }
}

async function writeWitness(disk: Disk, directory: string, bytes: Uint8Array): Promise<void> {
  const path = `${directory}/identity`
  const file = await disk.open(`${path}.new`, { mode: 'create', direct: false, durable: false })
  try {
    await file.truncate(0)
    await file.write(new TextEncoder().encode(line(bytes)), 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(`${path}.new`, path)
  await disk.syncDirectory(directory)
}

function toHex(bytes: Uint8Array): string {
  return bytes.toHex()
}
