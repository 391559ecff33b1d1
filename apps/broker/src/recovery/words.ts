/** What an unclean recovery keeps and costs, in sentences for whoever has to decide it. */
import type { Recoverable } from './plan.ts'

type Cost = Omit<Recoverable, 'kind' | 'words'>

/** `unit`: what an offset counts; commands are the controller's, which has neither producers nor consumers. */
export function lossInWords(cost: Cost, unit: 'record' | 'command'): string[] {
  const words = [...keptWords(cost), ...lostWords(cost), ...leaderWords(cost), ...restWords(cost)]
  return unit === 'record' ? [...words, ...clientWords(cost)] : words
}

const offsets = (start: number, end: number): string =>
  end - start === 1 ? `offset ${start}` : `offsets ${start} to ${end - 1}`

const brokers = (ids: readonly number[]): string =>
  ids.length === 1 ? `broker ${ids[0]}` : `brokers ${ids.slice(0, -1).join(', ')} and ${ids.at(-1)}`

function keptWords({ kept, survivor, knownCommittedOffset: committed }: Cost): string[] {
  const { startOffset, endOffset } = kept
  if (endOffset === startOffset) {
    return [`Nothing is kept: the log of broker ${survivor} is empty at offset ${endOffset}.`]
  }
  const words = [`Kept: ${offsets(startOffset, endOffset)}, which broker ${survivor} holds.`]
  if (committed < endOffset) {
    const unknown = offsets(Math.max(committed, startOffset), endOffset)
    words.push(`It is not known whether ${unknown} were committed: a replica that was restarted knows little.`)
  }
  return words
}

function lostWords({ kept, lost, unusable, knownCommittedOffset: committed }: Cost): string[] {
  const { endOffset } = kept
  const words: string[] = []
  if (committed > endOffset) {
    words.push(`Lost for certain: ${offsets(endOffset, committed)}, committed and held by nobody who is left.`)
  }
  const mute = [...lost, ...unusable.map(({ brokerId }) => brokerId)]
  if (mute.length > 0) {
    const from = Math.max(endOffset, committed)
    words.push(
      `May be lost: whatever ${brokers(mute)} acknowledged from offset ${from} on. How much that is cannot be known without them.`
    )
  }
  return words
}

function leaderWords({ lastLeader, survivor }: Cost): string[] {
  if (lastLeader === null) return ['Who led last is not known here.']
  const { brokerId, leaderEpoch, inSync } = lastLeader
  const led = `Broker ${brokerId} led last, as far as is known here, in epoch ${leaderEpoch}`
  if (brokerId === survivor) return [`${led}: it is the survivor, so what was acknowledged went through it.`]
  if (inSync.includes(survivor)) {
    return [`${led}, and said that broker ${survivor} was in sync: what is missing is what was written last.`]
  }
  return [`${led}, and did not count broker ${survivor} as in sync: something acknowledged is missing.`]
}

function restWords({ survivor, survivors, lost }: Cost): string[] {
  const words: string[] = []
  const others = survivors.filter(({ brokerId, state }) => brokerId !== survivor && state !== 'failed')
  if (others.length > 0) {
    const ids = others.map(({ brokerId }) => brokerId)
    const hold = ids.length === 1 ? 'holds' : 'hold'
    words.push(`What ${brokers(ids)} ${hold} is dropped and copied from broker ${survivor}.`)
  }
  if (survivors.some(({ brokerId, damaged }) => brokerId === survivor && damaged)) {
    words.push(`Some of what broker ${survivor} holds cannot be read (see GET /v1/shards/N); it stays refused.`)
  }
  if (lost.length > 0) {
    words.push(
      `Should ${brokers(lost)} come back, what they hold is dropped: copy their data folders before, if you want to look.`
    )
  }
  return words
}

function clientWords({ term, kept, knownCommittedOffset: committed }: Cost): string[] {
  const { startOffset, endOffset } = kept
  const words = [
    `The leader epoch rises above ${term}; consumers beyond offset ${endOffset} are told that the log ended there.`
  ]
  if (committed < endOffset && startOffset < endOffset) {
    words.push('Producers that were not answered may send again what is kept already.')
  }
  return words
}
