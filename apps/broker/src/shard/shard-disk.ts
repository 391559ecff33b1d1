/** The disk of a shard, as `disk.engine` says; why it is not the best one is said once, in the log. */
import { openDisk, type Disk } from '@milena/storage-engine'
import type { Logger } from 'pino'
import type { BrokerSettings } from '../settings/broker-settings.ts'
import { SettingsError } from '../settings/parse.ts'

/** Opens the disk. Throws a SettingsError when `disk.engine` insists on io_uring and it does not work here. */
export async function openShardDisk(settings: BrokerSettings, folder: string, log: Logger): Promise<Disk> {
  const engine = settings['disk.engine']
  const opened = await openDisk({ folder, prefer: engine === 'threads' ? 'threads' : 'io_uring' })
  if (opened.fallbackReason !== undefined) {
    if (engine === 'io_uring') {
      await opened.disk.close()
      throw new SettingsError([`disk.engine is io_uring, which does not work here: ${opened.fallbackReason}`])
    }
    log.warn({ disk: opened.disk.kind, reason: opened.fallbackReason }, 'io_uring is not used')
  }
  if (opened.bufferedReason !== undefined) log.warn({ reason: opened.bufferedReason }, 'direct I/O is not used')
  return opened.disk
}
