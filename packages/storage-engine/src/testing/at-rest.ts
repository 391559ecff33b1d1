/**
 * What of a store is at rest on its disk: bytes of segments that a checkpoint says are there, so that no recovery takes them for a
 * torn write. For those who play rot, which strikes what was written long ago.
 */
import type { MemoryStateDevice } from '../state/memory-state.ts'
import { CheckedState } from '../state/checked-state.ts'
import { loadCatalog } from '../store/recovery/catalog.ts'

/** The beginning of a file. */
export interface BytesAtRest {
  readonly log: string
  readonly path: string
  /** Offset of the first entry. */
  readonly baseOffset: number
  readonly byteCount: number
}

/** Those of the store in `directory` whose state is on the device; none when the state was lost. Files may be gone. */
export function bytesAtRest(device: MemoryStateDevice, directory: string): BytesAtRest[] {
  const state = new CheckedState(device.view(), 'engine/', () => undefined)
  return loadCatalog(state, name => `${directory}/logs/${name}`).flatMap(({ name, segments }) =>
    segments
      .filter(({ byteCount }) => byteCount > 0)
      .map(({ path, baseOffset, byteCount }) => ({ log: name, path, baseOffset, byteCount }))
  )
}
