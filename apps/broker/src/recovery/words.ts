/** What an unclean recovery keeps and costs, in sentences for whoever has to decide it. */
import type { Recoverable } from './plan.ts'

type Cost = Omit<Recoverable, 'kind' | 'words'>

export function lossInWords(cost: Cost): string[] {
  return [...keptWords(cost), ...lostWords(cost), ...leaderWords(cost), ...restWords(cost)]
}

const offsets = (start: number, end: number): string => {
  return end - start === 1 ? `offset ${start}` : `offsets ${start} to ${end - 1}`
}

const brokers = (ids: readonly number[]): string => {
  return ids.length === 1 ? `broker ${ids[0]}` : `brokers ${ids.slice(0, -1).join(', ')} and ${ids.at(-1)}`
}

function keptWords({ kept, survivor, knownCommittedOffset: committed }: Cost): string[] {
  const { startOffset, endOffset } = kept
  if (endOffset === startOffset)
    return [`Nothing is kept: the log of broker ${survivor} is empty at offset ${endOffset}.`]
  const words = [`Kept: ${offsets(startOffset, endOffset)}, which broker ${survivor} holds.`]
  if (committed < endOffset) {
    const from = Math.max(committed, startOffset)
    words.push(
      `Of these ${offsets(from, endOffset)} are not known to be committed; they are kept. Producers that were not answered may have sent them again.`
    )
  }
  return words
}

function lostWords({ kept, lost, unusable, knownCommittedOffset: committed }: Cost): string[] {
  const { endOffset } = kept
  const words: string[] = []
  if (committed > endOffset) {
    words.push(`Lost for certain: ${offsets(endOffset, committed)}, which were committed and which nobody left holds.`)
  }
  const silent = [...lost, ...unusable.map(({ brokerId }) => brokerId)]
  if (silent.length > 0) {
    words.push(
      `May be lost: whatever ${brokers(silent)} acknowledged from offset ${Math.max(endOffset, committed)} on. How much that is cannot be known without them.`
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
  return [`${led}, and did not count broker ${survivor} as in sync: acknowledged records are missing.`]
}

function restWords({ survivor, survivors, term, lost, kept }: Cost): string[] {
  const words: string[] = []
  const others = survivors.filter(({ brokerId, state }) => brokerId !== survivor && state !== 'failed')
  if (others.length > 0) {
    const ids = others.map(({ brokerId }) => brokerId)
    words.push(
      `What ${brokers(ids)} ${ids.length === 1 ? 'holds' : 'hold'} is dropped and copied from broker ${survivor}.`
    )
  }
  if (survivors.some(({ brokerId, damaged }) => brokerId === survivor && damaged)) {
    words.push(
      `Some of what broker ${survivor} holds cannot be read (the damage is in GET /v1/shards/N); it stays refused.`
    )
  }
  if (lost.length > 0) {
    words.push(
      `Should ${brokers(lost)} come back, what they hold is dropped: copy their data folders before, if you want to look.`
    )
  }
  words.push(
    `The leader epoch rises above ${term}; consumers beyond offset ${kept.endOffset} are told that the log ended there.`
  )
  return words
}
