/**
 * Waits until the disks of this machine rest. What one broker leaves behind (pages still to be written, gigabytes of files removed,
 * which the file system tells the device to discard) would otherwise be paid by the one that is measured next.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const QUIET_MS = 3_000
const LOOK_MS = 500
/** A machine whose disks never rest is measured all the same. */
const PATIENCE_MS = 30_000
/** Operations in so many ms that are nobody's benchmark: the journal of the file system, a log file. */
const IDLE_OPERATIONS = 10

export async function untilDisksRest(): Promise<void> {
  spawnSync('sync')
  const endMs = performance.now() + PATIENCE_MS
  let quietMs = 0
  for (let last = operations(); quietMs < QUIET_MS && performance.now() < endMs;) {
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    const now = operations()
    quietMs = now - last <= IDLE_OPERATIONS ? quietMs + LOOK_MS : 0
    last = now
  }
}

/** Reads, writes, discards and flushes of all disks that ended, since the machine started (Linux: Documentation/admin-guide/iostats.rst). */
function operations(): number {
  const lines = readFileSync('/proc/diskstats', 'utf8').trim().split('\n')
  const fields = lines
    .map(line => line.trim().split(/\s+/))
    .filter(([, , name]) => !/^(loop|ram|zram)/.test(name ?? ''))
  return fields.reduce((sum, at) => sum + Number(at[3]) + Number(at[7]) + Number(at[14] ?? 0) + Number(at[18] ?? 0), 0)
}
