/**
 * A shard with listeners for Kafka's protocol in front. They listen when the shard has confirmed its place in the cluster, so
 * that no client is answered from metadata of before the start.
 *
 * Order of a stop: give up leadership, tell clients for a moment who leads now, stop accepting and let answers go out, destage
 * and close the store.
 */
import { createGateway } from '@milena/gateway'
import type { Shard, ShardListener, ShardOptions } from './contract.ts'
import { gatewaySettings } from './gateway-host.ts'
import { openShard } from './shard.ts'

/** How long a start waits for the cluster before it goes on in the background, ms: others may be down. */
const JOIN_WAIT_MS = 20_000
/** Of the time that a stop may take, what is left for clients after leadership was handed over. */
const DRAIN_SHARE = 0.5
/**
 * How long a shard that handed over leadership still answers, ms: clients that ask it are told who leads now and move at once.
 * Those that only see a connection end look for their leaders anew, which some do no more often than every five seconds.
 */
const REDIRECT_MS = 500

/**
 * Starts a shard with listeners; resolves when clients can use it, or after a while when the cluster cannot be reached (then
 * `serving` tells when). `onListening` is told the port of each listener.
 */
export async function startShard(
  options: ShardOptions & {
    readonly listeners: readonly ShardListener[]
    readonly onListening: (listener: string, port: number) => void
  }
): Promise<Shard> {
  const { settings, clock, log, listeners } = options
  const shard = await openShard(options)
  const gateway = createGateway({ host: shard.host, listeners, settings: gatewaySettings(settings) })
  let serves = false
  let stopping = false
  const serving = shard.confirmed.then(async () => {
    if (stopping) return
    for (const bound of await gateway.listen()) options.onListening(bound.name, bound.port)
    serves = true
    log.info({ brokerId: shard.brokerId, listeners: listeners.map(l => l.name) }, 'shard serves')
  })
  const waited = new Promise<void>(resolve => void clock.after(JOIN_WAIT_MS, resolve))
  try {
    await Promise.race([serving, waited])
  } catch (error) {
    // It can never take part: whoever starts the next one finds everything free.
    await shard.close()
    throw error
  }
  return {
    serving,
    operations: shard.operations,
    status: () => ({ ...shard.status(), serving: serves }),
    stop: async drainMs => {
      stopping = true
      const handedOver = await shard.drainLeadership(drainMs * DRAIN_SHARE)
      const restMs = drainMs * (1 - DRAIN_SHARE)
      const redirectMs = serves && handedOver > 0 ? Math.min(REDIRECT_MS, restMs / 2) : 0
      if (redirectMs > 0) await new Promise<void>(resolve => void clock.after(redirectMs, resolve))
      if (serves) await gateway.close({ drainMs: restMs - redirectMs })
      await shard.close()
    }
  }
}
