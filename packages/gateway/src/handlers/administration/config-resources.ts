/** What the APIs about settings have in common: how resources are named. */
import type { ConfigResourceType } from '../../ports.ts'

/** Kafka's numbers of resource types. */
export const configResourceTypes: ReadonlyMap<number, ConfigResourceType> = new Map([
  [2, 'topic'],
  [4, 'broker'],
  [8, 'brokerLogger'],
  [16, 'clientMetrics'],
  [32, 'group']
])

/** An int32 in decimal, the only form in which brokers are named. */
export function isBrokerId(name: string): boolean {
  return /^[+-]?\d{1,10}$/.test(name)
}
