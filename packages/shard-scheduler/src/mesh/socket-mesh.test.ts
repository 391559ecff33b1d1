import assert from 'node:assert'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import grpc from '@grpc/grpc-js'
import { afterAll, describe, test } from 'vitest'
import { MeshError } from '../errors.ts'
import { createSocketFolder, socketPath } from '../supervisor/socket-folder.ts'
import { meshCompliance, type OpenMeshes } from './mesh-compliance.ts'
import type { MeshLimits } from './mesh-limits.ts'
import type { Mesh } from './mesh.ts'
import { openSocketMesh } from './socket-mesh.ts'

const parent = mkdtempSync(join(tmpdir(), 'milena-test-'))
afterAll(() => rmSync(parent, { recursive: true, force: true }))

const TOKEN = 'a token of one broker'

const openSockets: OpenMeshes = async (shardCount, limits = {}) => {
  const socketFolder = createSocketFolder(parent)
  const open = (shard: number): Promise<Mesh> =>
    openSocketMesh({ shard, shardCount, socketFolder, token: TOKEN, limits })
  const meshes = await Promise.all(Array.from({ length: shardCount }, (_, shard) => open(shard)))
  await Promise.all(meshes.map(mesh => allReachable(mesh)))
  const live = [...meshes]
  return {
    meshes,
    until: promise => promise,
    pass: sleep,
    stop: async shard => {
      const gone = meshes
        .filter(mesh => mesh.shard !== shard && mesh.reachable.has(shard))
        .map(mesh => peerChange(mesh, shard, false))
      await live[shard]!.close()
      await Promise.all(gone)
    },
    start: async shard => (live[shard] = await open(shard)),
    close: async () => {
      await Promise.all(live.map(mesh => mesh.close()))
      assert.deepEqual(readdirSync(socketFolder), [], 'sockets are removed')
    }
  }
}

function peerChange(mesh: Mesh, peer: number, reachable: boolean): Promise<void> {
  return new Promise(resolve => {
    const unsubscribe = mesh.onPeerChange((shard, now) => {
      if (shard !== peer || now !== reachable) return
      unsubscribe()
      resolve()
    })
  })
}

async function allReachable(mesh: Mesh): Promise<void> {
  for (let peer = 0; peer < mesh.shardCount; peer++) {
    if (!mesh.reachable.has(peer)) await peerChange(mesh, peer, true)
  }
}

async function openPair(limits: Partial<MeshLimits> = {}): Promise<{ meshes: Mesh[]; socketFolder: string }> {
  const socketFolder = createSocketFolder(parent)
  const meshes = await Promise.all(
    [0, 1].map(shard => openSocketMesh({ shard, shardCount: 2, socketFolder, token: TOKEN, limits }))
  )
  await Promise.all(meshes.map(allReachable))
  return { meshes, socketFolder }
}

describe('meshes over Unix sockets', () => {
  for (const { title, run } of meshCompliance(openSockets)) test(title, run)
})

describe('a mesh over Unix sockets', () => {
  test('Its folder is closed to other users.', async () => {
    const { meshes, socketFolder } = await openPair()
    assert.equal(statSync(socketFolder).mode & 0o777, 0o700)
    await Promise.all(meshes.map(mesh => mesh.close()))
  })

  test('A process without the token is not linked, whichever side it dials from.', async () => {
    for (const stranger of [0, 1]) {
      const socketFolder = createSocketFolder(parent)
      const open = (shard: number): Promise<Mesh> =>
        openSocketMesh({
          shard,
          shardCount: 2,
          socketFolder,
          token: shard === stranger ? 'a guess, as long as it is' : TOKEN
        })
      const meshes = await Promise.all([open(0), open(1)])
      await sleep(150)
      for (const mesh of meshes) assert.deepEqual([...mesh.reachable], [mesh.shard])
      await Promise.all(meshes.map(mesh => mesh.close()))
    }
  })

  test('Under load from both sides, with answers larger than the flow-control window, everything arrives.', async () => {
    const { meshes } = await openPair()
    for (const mesh of meshes) mesh.serve('echo', payload => payload)
    const calls: Promise<void>[] = []
    for (let round = 0; round < 40; round++) {
      for (const mesh of meshes) {
        const payload = new Uint8Array(round % 4 === 0 ? 700_000 : 100 * round).fill(round)
        calls.push(
          mesh.submitTo(1 - mesh.shard, 'echo', payload).then(answer => {
            assert.equal(Buffer.compare(answer, payload), 0)
          })
        )
      }
    }
    await Promise.all(calls)
    await Promise.all(meshes.map(mesh => mesh.close()))
  })

  test('Two calls of one turn travel in one batch: both are delivered before either answer is sent.', async () => {
    const { meshes } = await openPair()
    let delivered = 0
    const seen: number[] = []
    meshes[1]!.serve('count', () => {
      delivered++
      // A turn later everything of the same batch has been delivered, too.
      return new Promise(resolve => queueMicrotask(() => resolve(Uint8Array.of(delivered))))
    })
    const calls = Array.from({ length: 50 }, () => meshes[0]!.submitTo(1, 'count', new Uint8Array(10)))
    for (const answer of await Promise.all(calls)) seen.push(answer[0]!)
    assert.equal(new Set(seen).size, 1)
    assert.equal(seen[0], 50)
    await Promise.all(meshes.map(mesh => mesh.close()))
  })

  test('A member that sends what is no batch loses its link, and only that.', async () => {
    const socketFolder = createSocketFolder(parent)
    const mesh = await openSocketMesh({ shard: 1, shardCount: 2, socketFolder, token: TOKEN })
    const metadata = new grpc.Metadata()
    metadata.set('shard', '0')
    metadata.set('token', encodeURIComponent(TOKEN))
    const client = new grpc.Client(`unix:${socketPath(socketFolder, 1)}`, grpc.credentials.createInsecure())
    const identity = (bytes: Buffer): Buffer => bytes
    const stream = client.makeBidiStreamRequest('/milena.mesh.v1.Mesh/Link', identity, identity, metadata)
    const changes: boolean[] = []
    mesh.onPeerChange((_, reachable) => changes.push(reachable))
    const ended = new Promise<grpc.ServiceError>(resolve => stream.on('error', resolve))
    stream.resume()
    await peerChange(mesh, 0, true)
    stream.write(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]))
    assert.notEqual((await ended).code, grpc.status.OK)
    client.close()
    assert.deepEqual(changes, [true, false])
    const peer = await openSocketMesh({ shard: 0, shardCount: 2, socketFolder, token: TOKEN })
    peer.serve('echo', payload => payload)
    await allReachable(mesh)
    assert.deepEqual([...(await mesh.submitTo(0, 'echo', Uint8Array.of(6)))], [6])
    await Promise.all([mesh.close(), peer.close()])
  })

  test('A broker of one shard opens no socket.', async () => {
    const mesh = await openSocketMesh({ shard: 0, shardCount: 1, socketFolder: '/nowhere', token: '' })
    mesh.serve('echo', payload => payload)
    assert.deepEqual([...(await mesh.submitTo(0, 'echo', Uint8Array.of(1)))], [1])
    await mesh.close()
    await assert.rejects(mesh.submitTo(0, 'echo', Uint8Array.of(1)), (error: unknown) => {
      return error instanceof MeshError && error.code === 'CLOSED'
    })
  })
})
