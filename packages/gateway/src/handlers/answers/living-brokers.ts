/** Which brokers take part: a leader that is not among them is no leader to a client. */
import type { RequestContext } from '../../handler.ts'

/** Ids of the brokers that are not fenced. */
export function livingBrokers(context: RequestContext): ReadonlySet<number> {
  const living = new Set<number>()
  for (const { id, fenced } of context.host.cluster.view().brokers(context.dial)) if (!fenced) living.add(id)
  return living
}
