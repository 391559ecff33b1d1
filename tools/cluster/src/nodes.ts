/** Which nodes `npm run cluster` starts, and with which arguments. Pure. */
import { join } from 'node:path'

/** Ports of node 0; each further node is `PORT_STEP` above. Shard i of a node is i above. */
const KAFKA_PORT = 9092
const RPC_PORT = 33_145
const ADMIN_PORT = 9644
const PORT_STEP = 100

export interface NodePlan {
  readonly node: number
  readonly kafkaPort: number
  readonly adminPort: number
  readonly rpcPort: number
  readonly dataFolder: string
  /** Arguments of `milena`. */
  readonly args: readonly string[]
}

export interface ClusterOptions {
  readonly nodes: number
  readonly shards: number
  readonly dataFolder: string
  /** Added to all ports. */
  readonly portOffset: number
  /** `key=value` settings of all nodes. */
  readonly settings: readonly string[]
}

export function planNodes({ nodes, shards, dataFolder, portOffset, settings }: ClusterOptions): NodePlan[] {
  const portOf = (base: number, node: number): number => base + portOffset + node * PORT_STEP
  const seeds = Array.from({ length: nodes }, (_, node) => `127.0.0.1:${portOf(RPC_PORT, node)}`).join(',')
  return Array.from({ length: nodes }, (_, node) => {
    const plan = {
      node,
      kafkaPort: portOf(KAFKA_PORT, node),
      rpcPort: portOf(RPC_PORT, node),
      adminPort: portOf(ADMIN_PORT, node),
      dataFolder: join(dataFolder, `node-${node}`)
    }
    const options = {
      '--data-dir': plan.dataFolder,
      '--kafka-port': plan.kafkaPort,
      '--rpc-port': plan.rpcPort,
      '--admin-port': plan.adminPort,
      '--shards': shards,
      '--seeds': seeds
    }
    const args = Object.entries(options).flatMap(([name, value]) => [name, String(value)])
    return { ...plan, args: ['start', ...args, ...settings.flatMap(setting => ['-o', setting])] }
  })
}
