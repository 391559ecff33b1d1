/**
 * Transcripts: a file of commands, and under each, indented, what the replicas did. A test runs the commands and compares; with
 * `RECORD=1` it writes the file anew, and the difference shows what changed.
 *
 *     group VOTERS [learners=IDS] [waiting=IDS] [field=value of the config ...]
 *     tick ID [COUNT]              flush ID|all [hardStates] [logWrites]   crash ID [hardStates kept] [logWrites kept]
 *     deliver [FROM>TO] [KIND]     drop [FROM>TO] [KIND]                   settle [without IDS]
 *     propose ID PAYLOAD[*WIDTH][:BYTES] ...        membership ID VOTERS [learners=IDS]
 *     transfer ID TARGET           campaign ID      resign ID              wake ID [PEER]
 *     elect ID                     campaign and settle, unrecorded
 *     read ID REQUEST              unreachable ID PEER
 *     hold ID                      reads wait from here on    send ID [COUNT]    carries out the oldest one
 *     compact ID INDEX             snapshot ID      damage ID START END
 *     recover IDS NEW              an unclean recovery planned from IDS; the survivor goes on as NEW
 *     anew ID NEW                  a new life with nothing
 *     show ID
 *
 * IDS are separated by commas; `IDS or *` in FROM>TO. Lines that begin with # are comments.
 */
import assert from 'node:assert'
import type { RaftConfig } from '../contract.ts'
import type { Effect } from '../effects.ts'
import type { Entry, EntryId } from '../entries.ts'
import type { Membership } from '../membership.ts'
import type { Message } from '../messages.ts'
import { planRecovery } from '../recovery.ts'
import type { Payload } from './memory-host.ts'
import { World, type Which } from './world.ts'

/** Runs the commands of a transcript. Returns it with what the replicas do now. */
export function runTranscript(text: string): string {
  const lines: string[] = []
  let world: World | undefined
  let silent = false
  const print = (line: string): void => {
    if (!silent) lines.push(`  ${line}`)
  }
  for (const line of text.split('\n')) {
    if (line.startsWith('  ')) continue
    lines.push(line)
    const words = line.split(' ').filter(word => word !== '')
    if (words.length === 0 || line.startsWith('#')) continue
    if (words[0] === 'group') world = openWorld(words.slice(1), print)
    else {
      assert(world !== undefined, 'a transcript begins with a group')
      silent = words[0] === 'elect'
      runCommand(world, words, print)
      silent = false
    }
  }
  return lines.join('\n')
}

const idsOf = (word: string): number[] => word.split(',').map(Number)

function openWorld(words: readonly string[], print: (line: string) => void): World {
  const [voters, ...fields] = words
  const given = new Map(fields.map(field => field.split('=') as [string, string]))
  const config = Object.fromEntries([...given].map(([name, value]) => [name, valueOf(value)])) as Partial<RaftConfig>
  return new World({
    voters: idsOf(voters!),
    learners: given.has('learners') ? idsOf(given.get('learners')!) : [],
    waiting: given.has('waiting') ? idsOf(given.get('waiting')!) : [],
    config,
    observe: (host, effect) => {
      print(`${host.id}: ${effectText(effect)}`)
    }
  })
}

function valueOf(word: string): unknown {
  if (word === 'true' || word === 'false') return word === 'true'
  return Number(word)
}

function runCommand(world: World, words: readonly string[], print: (line: string) => void): void {
  const [command, first = '', ...rest] = words
  const id = Number(first)
  const numbers = rest.map(Number)
  switch (command) {
    case 'tick':
      world.tick(id, numbers[0] ?? 1)
      break
    case 'flush':
      for (const host of world.hosts.values()) if (first === 'all' || host.id === id) host.flush(...numbers)
      break
    case 'crash':
      world.host(id).crash(...numbers)
      break
    case 'deliver':
      deliver(world, whichOf(words.slice(1)), print)
      break
    case 'drop':
      for (const message of world.drop(whichOf(words.slice(1)))) print(`lost: ${messageText(message)}`)
      break
    case 'settle':
      world.settle(first === 'without' ? idsOf(rest[0]!) : [])
      break
    case 'snapshot': {
      const effect = world.host(id).snapshotsToSend.shift()
      assert(effect !== undefined, 'no snapshot is asked for')
      world.host(id).sendSnapshot(effect)
      break
    }
    case 'hold':
      world.host(id).readsAtOnce = false
      break
    case 'send': {
      const effect = world.host(id).openReads.shift()
      assert(effect !== undefined, 'no entries are asked for')
      world.host(id).read(effect, numbers[0])
      break
    }
    case 'compact':
      world.host(id).compact(numbers[0]!)
      break
    case 'damage': {
      const range = { start: numbers[0]!, end: numbers[1]! }
      world.host(id).damage(range)
      world.host(id).run(world.host(id).node.damageFound(range))
      break
    }
    case 'elect':
      world.elect(id)
      break
    case 'recover':
      recover(world, idsOf(first), numbers[0]!, print)
      break
    case 'anew':
      world.beginAnew(id, numbers[0]!)
      break
    case 'show':
      print(stateText(world, id))
      break
    default:
      ask(world, words, print)
  }
}

function recover(world: World, left: readonly number[], next: number, print: (line: string) => void): void {
  const plan = planRecovery(left.map(id => world.report(id)))
  if (plan.kind !== 'recover') return print(plan.kind)
  const { survivor, term, lost, knownCommit } = plan
  print(
    `from ${survivor.id} up to ${idText(survivor.last)} in term ${term}, lost ${lost.join()}, committed ${knownCommit}`
  )
  world.recover(survivor.id, next, term)
}

/** What a replica is asked for by its host's users. */
function ask(world: World, words: readonly string[], print: (line: string) => void): void {
  const [command, first = '', ...rest] = words
  const id = Number(first)
  const { node } = world.host(id)
  const run = (effects: readonly Effect<Payload>[]): void => world.host(id).run(effects)
  const finish = (outcome: { kind: string; effects?: readonly Effect<Payload>[] }): void => {
    if (outcome.effects === undefined) print(`${id}: ${JSON.stringify(outcome)}`)
    else run(outcome.effects)
  }
  switch (command) {
    case 'propose':
      finish(node.propose(rest.map(proposalOf)))
      break
    case 'membership': {
      const learners = rest[1]?.startsWith('learners=') === true ? idsOf(rest[1].slice('learners='.length)) : []
      finish(node.proposeMembership({ voters: idsOf(rest[0]!), learners }))
      break
    }
    case 'transfer':
      finish(node.transferLeadership(Number(rest[0])))
      break
    case 'campaign':
      run(node.campaign())
      break
    case 'resign':
      run(node.resign())
      break
    case 'wake':
      run(node.wake(rest[0] === undefined ? undefined : Number(rest[0])))
      break
    case 'read':
      run(node.readIndex(Number(rest[0])))
      break
    case 'unreachable':
      run(node.peerUnreachable(Number(rest[0])))
      break
    default:
      assert.fail(`unknown command ${command}`)
  }
}

function proposalOf(word: string): { payload: string; width: number; bytes: number } {
  const match = /^([^*:]+)(?:\*(\d+))?(?::(\d+))?$/.exec(word)
  assert(match !== null, `not a proposal: ${word}`)
  return { payload: match[1]!, width: Number(match[2] ?? 1), bytes: Number(match[3] ?? 1) }
}

function whichOf(words: readonly string[]): Which {
  let which: Which = {}
  for (const word of words) {
    const [from, to] = word.split('>')
    if (to === undefined) which = { ...which, kind: word as Message<Payload>['kind'] }
    else {
      which = { ...which, ...(from === '*' ? {} : { from: Number(from) }), ...(to === '*' ? {} : { to: Number(to) }) }
    }
  }
  return which
}

function deliver(world: World, which: Which, print: (line: string) => void): void {
  for (const message of world.drop(which)) {
    print(`> ${messageText(message)}`)
    world.give(message)
  }
}

const idText = ({ index, term }: EntryId): string => `${index}/${term}`

function membershipText(membership: Membership): string {
  const learners = membership.learners.length > 0 ? ` learners ${membership.learners.join()}` : ''
  if (membership.kind === 'simple') return `${membership.voters.join()}${learners}`
  const next = membership.learnersNext.length > 0 ? ` learners next ${membership.learnersNext.join()}` : ''
  return `${membership.outgoing.join()} to ${membership.incoming.join()}${learners}${next}`
}

function entryText(entry: Entry<Payload>): string {
  if (entry.kind === 'noop') return `${idText(entry)} noop`
  if (entry.kind === 'membership') return `${idText(entry)} members ${membershipText(entry.membership)}`
  return `${idText(entry)} ${entry.payload}${entry.width > 1 ? `*${entry.width}` : ''}`
}

const entriesText = (entries: readonly Entry<Payload>[]): string => `[${entries.map(entryText).join(', ')}]`

function messageText(message: Message<Payload>): string {
  return `${message.from}>${message.to} term ${message.term} ${message.kind} ${contentText(message)}`.trimEnd()
}

function contentText(message: Message<Payload>): string {
  switch (message.kind) {
    case 'preVote':
      return `last ${idText(message.last)}`
    case 'vote':
      return `last ${idText(message.last)}${message.transfer ? ' by transfer' : ''}`
    case 'preVoteResponse':
    case 'voteResponse':
      return message.granted ? 'granted' : 'refused'
    case 'append':
      return `after ${idText(message.previous)} ${entriesText(message.entries)} commit ${message.commitIndex}`
    case 'appendResponse':
      if (message.result === 'matched') return `matched ${message.matchIndex}`
      return `rejected ${message.rejectedIndex} hint ${idText(message.hint)}`
    case 'heartbeat': {
      const read = message.readSequence > 0 ? ` read ${message.readSequence}` : ''
      return `commit ${message.commitIndex}${read}${message.quiesce ? ' sleep' : ''}`
    }
    case 'heartbeatResponse':
      return message.readSequence > 0 ? `read ${message.readSequence}` : ''
    case 'commit':
      return String(message.commitIndex)
    case 'installSnapshot':
      return `${idText(message.snapshot.last)} members ${membershipText(message.snapshot.membership)}`
    case 'timeoutNow':
      return ''
    case 'readIndex':
      return String(message.request)
    case 'readIndexResponse':
      return message.result === 'ready' ? `${message.request} at ${message.index}` : `${message.request} notLeader`
    case 'repairRequest':
      return `${message.range.start}..${message.range.end} of term ${message.lastTerm}`
    case 'repairResponse':
      return entriesText(message.entries)
  }
}

function effectText(effect: Effect<Payload>): string {
  switch (effect.kind) {
    case 'saveHardState':
      return `save term ${effect.hardState.term} vote ${effect.hardState.votedFor ?? '-'}`
    case 'append': {
      const cut = effect.truncateFrom === undefined ? '' : `cut from ${effect.truncateFrom}, `
      return `${cut}append ${entriesText(effect.entries)}`
    }
    case 'send':
      return `send ${messageText(effect.message)}`
    case 'sendEntries': {
      const { to, previous, range, commitIndex } = effect
      return `read for ${to} after ${idText(previous)} ${range.start}..${range.end} commit ${commitIndex}`
    }
    case 'commit':
      return `commit ${effect.index}`
    case 'sendSnapshot':
      return `snapshot for ${effect.to} of at least ${effect.atLeast}`
    case 'installSnapshot':
      return `install snapshot ${idText(effect.snapshot.last)}, entries after it ${effect.entriesAfter}`
    case 'repair':
      return `repair ${entriesText(effect.entries)}`
    case 'sendRepair':
      return `read for the repair of ${effect.to} ${effect.range.start}..${effect.range.end}`
    case 'membership': {
      const how = effect.committed ? 'committed' : 'in force'
      return `members ${membershipText(effect.membership)} of ${effect.index} ${how}`
    }
    case 'roleChanged':
      return 'role changed'
    case 'readReady':
      return `read ${effect.request} ready at ${effect.index}`
    case 'readGivenUp':
      return `read ${effect.request} given up: ${effect.reason}`
    case 'transferEnded':
      return `transfer to ${effect.target} ended: ${effect.reason ?? 'well'}`
  }
}

function stateText(world: World, id: number): string {
  const { node } = world.host(id)
  const { role, last, quiescent, damagedCount } = node.status
  const leader = node.leader === undefined || node.leader === id ? '' : ` of ${node.leader}`
  const log = `term ${node.term} last ${idText(last)} durable ${node.durableIndex} commit ${node.commitIndex}`
  const members = node.membership === undefined ? 'no members' : `members ${membershipText(node.membership)}`
  const marks = `${quiescent ? ' asleep' : ''}${damagedCount > 0 ? ` damaged ${damagedCount}` : ''}`
  const progress = role.kind !== 'leader' ? '' : ` ${JSON.stringify(Object.fromEntries(role.progress))}`
  return `${id}: ${role.kind}${leader} ${log} ${members}${marks}${progress}`
}
