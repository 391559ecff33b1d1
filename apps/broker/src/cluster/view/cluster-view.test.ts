import type { Dial } from '@milena/gateway'
import { describe, expect, it } from 'vitest'
import { apply } from '../../controller/metadata/apply.ts'
import { emptyState, type ClusterState, type NodeDescription } from '../../controller/metadata/cluster-state.ts'
import type { Command } from '../../controller/metadata/commands.ts'
import type { Advertising } from './addresses.ts'
import { StateView, type ViewSource } from './cluster-view.ts'

const node = (nodeId: number, portPerShard = true): NodeDescription => ({
  nodeId,
  instance: `disk-${nodeId}`,
  shardCount: 2,
  rack: nodeId === 2 ? '' : `rack-${nodeId}`,
  rpc: { host: `node-${nodeId}`, port: 33_145 },
  listeners: [{ name: 'PLAINTEXT', host: `node-${nodeId}`, port: 9092, portPerShard }]
})

const commands = (portPerShard: boolean): Command[] => [
  {
    type: 'form-cluster',
    version: 1,
    clusterId: 'c',
    founders: [0, 1, 2].map(id => node(id, portPerShard)),
    features: {}
  },
  {
    type: 'create-topics',
    version: 1,
    topics: [
      {
        name: 't',
        topicId: 'id',
        partitions: [{ replicas: [1001, 0, 2000], bootstrapReplicas: [1001, 0, 2000] }],
        configs: {}
      }
    ]
  }
]

const stateOf = (list: readonly Command[]): ClusterState =>
  list.reduce<ClusterState>((state, command) => apply(state, command).state, emptyState)

const dial: Dial = { listener: 'PLAINTEXT', localAddress: '10.0.0.1', localPort: 9093, remoteAddress: '10.0.0.9' }
const plain: Advertising = { advertised: new Map(), gateway: undefined }

function view(over: Partial<ViewSource> = {}): StateView {
  return new StateView({
    revision: 1,
    clusterId: 'c',
    nodeId: 0,
    byNode: false,
    state: stateOf(commands(true)),
    controllerId: 1000,
    leadershipOf: () => ({ leader: 1001, term: 4, inSync: [0, 1001] }),
    reachable: id => id < 2000,
    advertising: plain,
    ports: () => [9092, 9093],
    ...over
  })
}

const addresses = (shown: StateView): string[] =>
  shown.brokers(dial).map(({ id, host, port, fenced }) => `${id}=${host}:${port}${fenced ? ' fenced' : ''}`)

describe('the view of the cluster', () => {
  it('names every shard of every node: this one where the client dialled, others where they say', () => {
    expect(addresses(view())).toEqual([
      '0=10.0.0.1:9092',
      '1=10.0.0.1:9093',
      '1000=node-1:9092',
      '1001=node-1:9093',
      '2000=node-2:9092 fenced',
      '2001=node-2:9093 fenced'
    ])
    expect(
      view()
        .brokers(dial)
        .map(({ rack }) => rack)
    ).toEqual(['rack-0', 'rack-0', 'rack-1', 'rack-1', null, null])
  })

  it('names nodes with node addressing, under the id of their first shard', () => {
    const byNode = view({ byNode: true, state: stateOf(commands(false)), ports: () => [9092, 9092] })
    expect(addresses(byNode)).toEqual(['0=10.0.0.1:9092', '1000=node-1:9092', '2000=node-2:9092 fenced'])
    expect(byNode.topicByName('t')?.partitions[0]).toEqual({
      partition: 0,
      leader: 1000,
      leaderEpoch: 4,
      replicas: [1000, 0, 2000],
      inSyncReplicas: [0, 1000],
      offlineReplicas: [2000]
    })
  })

  it('sends a client behind the gateway to the published ports of all nodes', () => {
    const advertising: Advertising = { advertised: new Map(), gateway: { address: '172.18.0.1', host: 'localhost' } }
    const behind = { ...dial, remoteAddress: '::ffff:172.18.0.1' }
    const shown = view({ advertising }).brokers(behind)
    expect(new Set(shown.map(({ host }) => host))).toEqual(new Set(['localhost']))
  })

  it('shows leader, epoch, what is in sync and what is offline', () => {
    expect(view().topicById('id')?.partitions[0]).toEqual({
      partition: 0,
      leader: 1001,
      leaderEpoch: 4,
      replicas: [1001, 0, 2000],
      inSyncReplicas: [0, 1001],
      offlineReplicas: [2000]
    })
  })

  it('shows a partition without a leader as one', () => {
    const shown = view({ leadershipOf: () => undefined }).topicByName('t')?.partitions[0]
    expect(shown).toMatchObject({ leader: -1, leaderEpoch: -1, inSyncReplicas: [] })
    const between = view({ leadershipOf: () => ({ leader: -1, term: 7, inSync: [] }) }).topicByName('t')
    expect(between?.partitions[0]).toMatchObject({ leader: -1, leaderEpoch: 7 })
  })

  it('shows old and new replicas while a reassignment runs, the preferred leader first', () => {
    const state = stateOf([
      ...commands(true),
      { type: 'start-reassignment', version: 1, moves: [{ topicId: 'id', partition: 0, target: [2001, 1001] }] }
    ] as Command[])
    expect(view({ state }).topicByName('t')?.partitions[0]?.replicas).toEqual([2001, 1001, 0, 2000])
  })
})
