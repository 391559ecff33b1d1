/**
 * Puts something between a host and a `RaftNode`: what goes in and what comes out can be changed there. That is how bugs are
 * planted in a state machine that has none of the switches.
 */
import type { Effect, Message, OpenRaftNode, Outcome, RaftNode } from '@milena/raft'

/** What a planted bug changes. Everything is optional; what is missing stays as it is. */
export interface NodeBug<Payload> {
  /** Effects on their way out of any input; the result is carried out instead. */
  effects?(effects: readonly Effect<Payload>[], node: RaftNode<Payload>): readonly Effect<Payload>[]
  /** A message on its way in. */
  step?(message: Message<Payload>, node: RaftNode<Payload>): readonly Effect<Payload>[]
  /** Other inputs, by name. */
  readonly inputs?: Partial<RaftNode<Payload>>
}

/** `open` with a bug around every node that it opens. */
export function withBug(
  open: OpenRaftNode,
  bugOf: <Payload>(node: RaftNode<Payload>) => NodeBug<Payload>
): OpenRaftNode {
  return (config, hardState, log) => {
    const node = open<never>(config, hardState, log)
    return wrap(node, bugOf(node))
  }
}

function wrap<Payload>(node: RaftNode<Payload>, bug: NodeBug<Payload>): RaftNode<Payload> {
  const replaced: Partial<RaftNode<Payload>> = { ...bug.inputs }
  if (bug.step !== undefined) replaced.step = message => bug.step?.(message, node) ?? []
  const changed = (result: unknown): unknown => (bug.effects === undefined ? result : changeEffects(result, bug, node))
  return new Proxy(node, {
    get(target, name) {
      const own: unknown = Reflect.get(replaced, name) ?? Reflect.get(target, name, target)
      if (typeof own !== 'function') return own
      const call = own as (...inputs: readonly unknown[]) => unknown
      return (...inputs: readonly unknown[]) => changed(Reflect.apply(call, target, [...inputs]))
    }
  })
}

/** Effects come as a list, or within an outcome; anything else passes. */
function changeEffects<Payload>(result: unknown, bug: NodeBug<Payload>, node: RaftNode<Payload>): unknown {
  const change = (effects: readonly Effect<Payload>[]): readonly Effect<Payload>[] =>
    bug.effects?.(effects, node) ?? effects
  if (Array.isArray(result)) return change(result as Effect<Payload>[])
  if (typeof result !== 'object' || result === null || !('effects' in result)) return result
  const outcome = result as Outcome<Payload, object> & { readonly kind: 'accepted' }
  return { ...outcome, effects: change(outcome.effects) }
}
