/** The peer network of a node that has no other nodes: nobody is reached, nothing listens. It costs no code of a real one. */
import { MeshError, type PeerNetwork } from '@milena/shard-scheduler'

export function peersAlone(self: number): PeerNetwork {
  const unreachable = (): Promise<never> => Promise.reject(new MeshError('UNREACHABLE', 'this node has no peers'))
  return {
    self,
    messageBytesMax: Infinity,
    setPeers: () => undefined,
    send: () => false,
    queuedBytes: () => 0,
    receive: () => undefined,
    serve: () => undefined,
    call: unreachable,
    callAddress: unreachable,
    joinCluster: () => undefined,
    reachable: new Set(),
    onPeerChange: () => () => undefined,
    close: () => Promise.resolve()
  }
}
