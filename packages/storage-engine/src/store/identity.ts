/**
 * The store's identity: 16 random bytes in a file of its own (`identity`) and in the state store. The file is the witness that
 * a store exists here, outside LMDB, which opens a missing or empty data file silently as an empty database: when the file is
 * there and the state does not know it, the state was lost. The state knowing another identity means that folders were mixed.
 *
 * After a loss the state learns the identity last, when everything else is rebuilt in it (`keepIdentity`): a crash before that
 * finds it lost again. With it, a mark says so to the host, and stays until the host has taken note: whoever forgot what it
 * promised must not learn of it only in the one start that found it out.
 */
import type { Disk } from '../disk.ts'
import { crc32c } from '../bytes.ts'
import { StoreError } from '../errors.ts'
import type { CheckedState } from '../state/checked-state.ts'

const stateKey = 'identity'
const lostKey = 'state-lost'

export interface Identity {
  readonly bytes: Uint8Array
  /** The state store is lost: everything in it must be rebuilt, then `keepIdentity` be called. */
  readonly rebuilds: boolean
  /** It was lost, now or in a former start, and nobody has taken note (`acknowledgeLoss`). */
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
  const rebuilds = witness !== undefined && known === undefined
  const bytes = witness ?? known ?? newIdentity()
  // What an interrupted attempt to rebuild left behind says nothing.
  if (rebuilds) await state.putAll(new Map(state.keys('').map(key => [key, undefined])))
  else if (known === undefined) await state.put(stateKey, bytes)
  if (witness === undefined) await writeWitness(disk, directory, bytes)
  return { bytes, rebuilds, stateLost: rebuilds || state.get(lostKey) !== undefined }
}

/** The state is rebuilt. */
export function keepIdentity(state: CheckedState, identity: Uint8Array): Promise<void> {
  return state.putAll(
    new Map([
      [stateKey, identity],
      [lostKey, Uint8Array.of(1)]
    ])
  )
}

/** The host knows of the loss, durably. */
export async function acknowledgeLoss(state: CheckedState): Promise<void> {
  if (state.get(lostKey) !== undefined) await state.putAll(new Map([[lostKey, undefined]]))
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
