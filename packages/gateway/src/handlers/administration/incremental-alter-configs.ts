/** IncrementalAlterConfigs: sets and removes single settings of topics and brokers, adds to lists and takes from them (KIP-339). */
import { apis } from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { ConfigOperation, ConfigsPort } from '../../ports.ts'
import { alterConfigs, refused } from './config-alterations.ts'

/** Kafka's operations, by number. */
const OPERATIONS: readonly ConfigOperation['kind'][] = ['set', 'delete', 'append', 'subtract']

export function incrementalAlterConfigsHandler(configs: ConfigsPort): Handler<typeof apis.incrementalAlterConfigs> {
  return {
    api: apis.incrementalAlterConfigs,
    versions: { min: 0, max: 1 },
    async handle(context, { resources, validateOnly }) {
      const requested = resources.map(({ resourceType, resourceName, configs: operations }) => ({
        resourceType,
        resourceName,
        mode: 'incremental' as const,
        configs: operations.map(({ name, configOperation, value }) => ({
          name,
          value,
          kind: OPERATIONS[configOperation]
        }))
      }))
      return { responses: await alterConfigs(context, configs, requested, validateOnly) }
    },
    refuse: (_context, request, error) => ({ responses: request.resources.map(one => refused(one, error, null)) })
  }
}
