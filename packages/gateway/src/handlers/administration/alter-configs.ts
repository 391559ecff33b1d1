/**
 * AlterConfigs: replaces all settings of topics and brokers; what a request does not name goes back to its default (KIP-133).
 * Tools use IncrementalAlterConfigs by now.
 */
import { apis } from '@milena/wire-protocol'
import type { Handler } from '../../handler.ts'
import type { ConfigsPort } from '../../ports.ts'
import { alterConfigs, refused } from './config-alterations.ts'

export function alterConfigsHandler(configs: ConfigsPort): Handler<typeof apis.alterConfigs> {
  return {
    api: apis.alterConfigs,
    versions: { min: 0, max: 2 },
    async handle(context, { resources, validateOnly }) {
      const requested = resources.map(({ resourceType, resourceName, configs: wanted }) => ({
        resourceType,
        resourceName,
        mode: 'replace' as const,
        configs: wanted.map(({ name, value }) => ({ name, value, kind: 'set' as const }))
      }))
      return { responses: await alterConfigs(context, configs, requested, validateOnly) }
    },
    refuse: (_context, request, error) => ({ responses: request.resources.map(one => refused(one, error, null)) })
  }
}
