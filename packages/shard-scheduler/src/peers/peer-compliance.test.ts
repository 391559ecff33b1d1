import assert from 'node:assert'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { ManualScheduler } from '../scheduler/manual-scheduler.ts'
import { openGrpcPeerNetwork } from './grpc-peer-network.ts'
import { MemoryPeerNetwork } from './memory-peer-network.ts'
import { peerCompliance, type OpenPeerWorld } from './peer-compliance.ts'
import type { PeerAddress, PeerNetwork } from './peers.ts'

const openManual: OpenPeerWorld = async (limits = {}) => {
  const scheduler = new ManualScheduler()
  const network = new MemoryPeerNetwork({ scheduler, limits, overwriteHandled: true, path: { latencyMs: 1 } })
  const addressOf = (number: number): PeerAddress => ({ host: 'memory', port: number })
  return {
    open: async number => network.open({ self: number, listen: addressOf(number) }),
    addressOf,
    crash: async number => {
      network.crash(number)
      await scheduler.advance(2)
    },
    until: promise => driveUntil(scheduler, promise),
    pass: durationMs => scheduler.advance(durationMs),
    close: async () => {}
  }
}

async function driveUntil<Result>(scheduler: ManualScheduler, promise: Promise<Result>): Promise<Result> {
  let settled = false
  const settle = (): boolean => (settled = true)
  promise.then(settle, settle)
  for (let step = 0; !settled && step < 10_000; step++) await scheduler.advance(1)
  assert.ok(settled, 'nothing happened in 10 s')
  return promise
}

const openTcp = (host: string): OpenPeerWorld => {
  return async (limits = {}) => {
    const ports = await freePorts(host, [1, 2, 3, 5, 7, 9, 1001, 2000])
    const addressOf = (number: number): PeerAddress => ({ host, port: ports.get(number)! })
    const open = new Map<number, PeerNetwork>()
    return {
      open: async number => {
        const peer = await openGrpcPeerNetwork({ self: number, listen: addressOf(number), limits })
        open.set(number, peer)
        return peer
      },
      addressOf,
      crash: async number => {
        await open.get(number)!.close()
        open.delete(number)
        await sleep(20)
      },
      until: promise => promise,
      pass: sleep,
      close: async () => {
        await Promise.all([...open.values()].map(peer => peer.close()))
      }
    }
  }
}

/**
 * A port for each number, all of them different. Below those that the system gives to outgoing connections, which would take one
 * before the test listens on it, and below those that other tests take for brokers.
 */
async function freePorts(host: string, numbers: readonly number[]): Promise<Map<number, number>> {
  const taken: Server[] = []
  const ports = new Map<number, number>()
  for (const number of numbers) {
    const server = await listenSomewhere(host)
    taken.push(server)
    ports.set(number, (server.address() as AddressInfo).port)
  }
  for (const server of taken) server.close()
  await Promise.all(taken.map(server => once(server, 'close')))
  return ports
}

async function listenSomewhere(host: string): Promise<Server> {
  for (;;) {
    const server = createServer().listen(11_000 + Math.floor(Math.random() * 9_000), host)
    try {
      await once(server, 'listening')
      return server
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    }
  }
}

describe('peers in memory', () => {
  for (const { title, run } of peerCompliance(openManual)) test(title, run)
})

describe('peers over TCP', () => {
  for (const { title, run } of peerCompliance(openTcp('127.0.0.1'))) test(title, run)
})

describe('peers over TCP, by name and IPv6', () => {
  const [first] = peerCompliance(openTcp('localhost'))
  test(`By name: ${first!.title}`, first!.run)
  const [sixth] = peerCompliance(openTcp('::1'))
  test(`By IPv6: ${sixth!.title}`, sixth!.run)
})
