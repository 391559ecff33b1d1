/**
 * Real implementation of the peer network's links: gRPC over TCP (mesh.proto's `Peers`). Each shard listens on one port and dials
 * every peer with a higher number. Before anything else is read, both sides name the cluster and themselves; who is of another
 * cluster or no member of this one is refused, and the log says so once.
 *
 *       1 ──Link──► 2      a stream that ends: link down on both sides, the lower number dials again
 *       ?  ──Call──► 2     one call of an open service, by whoever it may be
 *
 * A name of a cluster is no secret: this keeps strayed nodes out, not attackers; those are kept out by the network, or by TLS.
 * Both sides look every `TICK_MS` whether anything arrived, ping where nothing did, and give a link up that was silent for
 * `SILENCE_MAX_MS`. Ticks are counted instead of time: a process that was itself stopped does not take its peers for silent.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { MeshError } from '../errors.ts'
import { decodeAnswer, decodeCall, encodeAnswer, encodeCall } from '../frames/frame-codec.ts'
import type { AnswerFrame } from '../frames/frames.ts'
import { GrpcDialer } from '../grpc/grpc-dialer.ts'
import {
  acceptRequest,
  connectGrpc,
  grpcStatus,
  refusalIn,
  refuseRequest,
  requestHeaders,
  writeMessage
} from '../grpc/grpc-http2.ts'
import { GrpcServer, type Guest } from '../grpc/grpc-server.ts'
import { GrpcMessageReader } from '../grpc/message-reader.ts'
import { StreamLink, type StreamLinkHost } from '../grpc/stream-link.ts'
import { receivedBatchBytesMax, type MeshLimits } from '../mesh/mesh-limits.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { SchedulerLog } from '../supervisor.ts'
import type { PeerCore, PeerTransport } from './peer-core.ts'
import { SILENCE_MAX_MS, type PeerAddress } from './peers.ts'

export const LINK_PATH = '/milena.mesh.v1.Peers/Link'
export const CALL_PATH = '/milena.mesh.v1.Peers/Call'
export const CLUSTER_KEY = 'milena-cluster'
export const PEER_KEY = 'milena-peer'

/** A process that restarts is linked soon after its port listens; one that stays away costs two attempts a second. */
const REDIAL_MS = { min: 20, max: 500 }
const TICK_MS = 500
const SILENT_TICKS_MAX = SILENCE_MAX_MS / TICK_MS
/** Payload of a call from, and of the answer to, somebody who is no member. */
export const OPEN_CALL_BYTES_MAX = 1024 * 1024
/** Room for the fields of a call or an answer beside its payload. */
const CALL_OVERHEAD_BYTES_MAX = 64 * 1024
/** Different refusals that are remembered, so that each is logged once. */
const REFUSALS_MAX = 256

const NO_BYTES: Uint8Array = new Uint8Array(0)

export interface GrpcPeerTransportOptions {
  readonly scheduler: Scheduler
  readonly limits: MeshLimits
  readonly log: SchedulerLog
}

export class GrpcPeerTransport implements PeerTransport {
  readonly #core: PeerCore
  readonly #options: GrpcPeerTransportOptions
  readonly #server: GrpcServer
  readonly #dialers = new Map<number, GrpcDialer<PeerAddress>>()
  /** Ticks for which each link has been silent. */
  readonly #silentTicks = new Map<StreamLink, number>()
  readonly #refusals = new Set<string>()
  #cancelTick: () => void = () => {}

  constructor(core: PeerCore, options: GrpcPeerTransportOptions) {
    this.#core = core
    this.#options = options
    this.#server = new GrpcServer({
      scheduler: options.scheduler,
      onRequest: (stream, headers, guest) => this.#requested(stream, headers, guest),
      onNonsense: (from, reason) => this.#logOnce(`${from}: ${reason}`, { from, reason }, 'a connection was refused')
    })
  }

  /** Ends when the port listens; returns it. */
  listen(address: PeerAddress): Promise<number> {
    return this.#server.listen({ host: address.host, port: address.port })
  }

  membersChanged(addresses: ReadonlyMap<number, PeerAddress>): void {
    for (const [number, dialer] of this.#dialers) {
      const address = addresses.get(number)
      if (address !== undefined && sameTarget(address, dialer.target)) continue
      this.#dialers.delete(number)
      dialer.close()
    }
    for (const [number, address] of addresses) {
      if (number > this.#core.self && !this.#dialers.has(number)) this.#dial(number, address)
    }
  }

  callAddress(address: PeerAddress, service: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const target = `${service} at ${address.host}:${address.port}`
    if (payload.length > OPEN_CALL_BYTES_MAX) {
      const size = `${payload.length} bytes for ${target}, at most ${OPEN_CALL_BYTES_MAX}`
      return Promise.reject(new MeshError('TOO_LARGE', size))
    }
    return new Promise<Uint8Array>((resolve, reject) => {
      const session = connectGrpc(address)
      const stream = session.request(requestHeaders(CALL_PATH, {}))
      const end = (settle: () => void): void => {
        cancelDeadline()
        settle()
        session.destroy()
      }
      const fail = (code: 'DEADLINE' | 'UNREACHABLE', why: string): void =>
        end(() => reject(new MeshError(code, `${why}, ${target}`)))
      const cancelDeadline = this.#options.scheduler.after(deadlineMs, () => fail('DEADLINE', 'no answer in time'))
      const reader = new GrpcMessageReader(OPEN_CALL_BYTES_MAX + CALL_OVERHEAD_BYTES_MAX, message =>
        end(() => settleWith(decodeAnswer(new Uint8Array(message)), resolve, reject))
      )
      session.on('error', error => fail('UNREACHABLE', `it failed (${error.message})`))
      stream.on('error', error => fail('UNREACHABLE', `it failed (${error.message})`))
      stream.on('close', () => fail('UNREACHABLE', 'it ended without an answer'))
      stream.on('response', headers => {
        const refusal = refusalIn(headers)
        if (refusal !== undefined) fail('UNREACHABLE', `it was refused (${refusal})`)
      })
      stream.on('data', (piece: Buffer) => {
        try {
          reader.push(piece)
        } catch (error) {
          fail('UNREACHABLE', `it answered what is no answer (${String(error)})`)
        }
      })
      writeMessage(stream, [encodeCall({ kind: 'call', id: 1, service, payload, abandoned: false })], () => {})
      stream.end()
    })
  }

  async close(): Promise<void> {
    this.#cancelTick()
    for (const dialer of this.#dialers.values()) dialer.close()
    this.#dialers.clear()
    await this.#server.close()
  }

  #dial(peer: number, address: PeerAddress): void {
    const dialer = new GrpcDialer(address, {
      scheduler: this.#options.scheduler,
      path: LINK_PATH,
      metadata: this.#identity(),
      redialMs: REDIAL_MS,
      linked: (stream, headers) => {
        const { cluster, number } = identityIn(headers)
        if (number !== peer) return `peer ${number} answers there`
        const reason = this.#core.whyNotAdmitted(number, cluster)
        if (reason === undefined) this.#link(peer, link => new StreamLink(stream, link))
        return reason
      },
      refused: reason => {
        const fields = { peer, host: address.host, port: address.port, reason }
        this.#logOnce(`${peer} ${address.host}:${address.port}: ${reason}`, fields, 'a peer cannot be linked')
      }
    })
    this.#dialers.set(peer, dialer)
    dialer.dial()
  }

  #requested(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, guest: Guest): void {
    if (headers[':path'] === LINK_PATH) this.#accept(stream, headers, guest)
    else if (headers[':path'] === CALL_PATH) this.#answerStranger(stream, guest)
    else refuseRequest(stream, grpcStatus.unimplemented, `there is no ${headers[':path']}`)
  }

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, guest: Guest): void {
    const { cluster, number } = identityIn(headers)
    const reason =
      number >= this.#core.self
        ? `peer ${number} does not dial peer ${this.#core.self}: the lower number does`
        : this.#core.whyNotAdmitted(number, cluster)
    if (reason !== undefined) {
      const fields = { from: guest.address, peer: number, cluster, reason }
      this.#logOnce(`${guest.address}: ${reason}`, fields, 'a peer was refused')
      refuseRequest(stream, grpcStatus.unauthenticated, reason)
      return
    }
    guest.becomeMember()
    acceptRequest(stream, this.#identity())
    this.#link(number, link => new StreamLink(stream, link))
  }

  #link(peer: number, open: (host: StreamLinkHost) => StreamLink): void {
    const link = open({
      batchBytesMax: receivedBatchBytesMax(this.#options.limits),
      receive: (from, frames) => this.#core.receiveFrames(peer, from, frames),
      down: (from, reason) => {
        this.#silentTicks.delete(link)
        this.#core.linkDown(peer, from, `the link to peer ${peer} ${reason}`)
      }
    })
    if (this.#silentTicks.size === 0) this.#tickLater()
    this.#silentTicks.set(link, 0)
    this.#core.linkUp(peer, link)
  }

  #tickLater(): void {
    this.#cancelTick = this.#options.scheduler.after(TICK_MS, this.#tick)
  }

  readonly #tick = (): void => {
    for (const [link, ticks] of [...this.#silentTicks]) {
      if (link.heard) this.#silentTicks.set(link, 0)
      else if (ticks + 1 >= SILENT_TICKS_MAX) link.end(`was silent for ${SILENCE_MAX_MS} ms`)
      else this.#silentTicks.set(link, ticks + 1)
      link.heard = false
      link.ping()
    }
    if (this.#silentTicks.size > 0) this.#tickLater()
  }

  #answerStranger(stream: ServerHttp2Stream, guest: Guest): void {
    guest.hold()
    stream.on('close', () => guest.release())
    const reader = new GrpcMessageReader(OPEN_CALL_BYTES_MAX + CALL_OVERHEAD_BYTES_MAX, message => {
      reader.stop()
      const call = decodeCall(new Uint8Array(message))
      acceptRequest(stream, {})
      void this.#runOpenCall(call.service, call.payload).then(answer => {
        if (stream.destroyed) return
        writeMessage(stream, [encodeAnswer({ ...answer, id: call.id })], () => {})
        stream.end()
      })
    })
    stream.on('data', (piece: Buffer) => {
      try {
        reader.push(piece)
      } catch (error) {
        const fields = { from: guest.address, reason: String(error) }
        this.#logOnce(`${guest.address}: no call`, fields, 'a call that is none was refused')
        refuseRequest(stream, grpcStatus.invalidArgument, String(error))
        guest.session.destroy()
      }
    })
  }

  async #runOpenCall(service: string, payload: Uint8Array): Promise<AnswerFrame> {
    try {
      const answer = await this.#core.runOpenCall(service, payload)
      if (answer.length > OPEN_CALL_BYTES_MAX) {
        return failure('failed', `${service} answered ${answer.length} bytes, at most ${OPEN_CALL_BYTES_MAX}`)
      }
      return { kind: 'answer', id: 0, status: 'ok', payload: answer, message: '' }
    } catch (error) {
      const overloaded = error instanceof MeshError && error.code === 'OVERLOADED'
      return failure(overloaded ? 'overloaded' : 'failed', error instanceof Error ? error.message : String(error))
    }
  }

  #identity(): Record<string, string> {
    return { [CLUSTER_KEY]: encodeURIComponent(this.#core.clusterId ?? ''), [PEER_KEY]: String(this.#core.self) }
  }

  #logOnce(key: string, fields: object, message: string): void {
    if (this.#refusals.has(key) || this.#refusals.size >= REFUSALS_MAX) return
    this.#refusals.add(key)
    this.#options.log.warn(fields, message)
  }
}

function sameTarget(left: PeerAddress, right: PeerAddress): boolean {
  return left.host === right.host && left.port === right.port
}

function settleWith(
  answer: AnswerFrame,
  resolve: (payload: Uint8Array) => void,
  reject: (error: MeshError) => void
): void {
  if (answer.status === 'ok') resolve(answer.payload)
  else reject(new MeshError(answer.status === 'failed' ? 'REMOTE' : 'OVERLOADED', answer.message))
}

function failure(status: 'failed' | 'overloaded', message: string): AnswerFrame {
  return { kind: 'answer', id: 0, status, payload: NO_BYTES, message }
}

function identityIn(headers: IncomingHttpHeaders): { readonly cluster: string; readonly number: number } {
  const number = Number(headers[PEER_KEY] ?? NaN)
  const cluster = String(headers[CLUSTER_KEY] ?? '')
  try {
    return { cluster: decodeURIComponent(cluster), number: Number.isInteger(number) ? number : -1 }
  } catch {
    return { cluster, number: -1 }
  }
}
