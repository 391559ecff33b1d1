import { expect, it } from 'vitest'
import { apply } from '../metadata/apply.ts'
import { emptyState } from '../metadata/cluster-state.ts'
import { planDeletions } from './deletion-plan.ts'

const topics = ['a', 'b', 'c'].map(name => ({ name, topicId: `id-${name}`, partitions: [], configs: {} }))
const { state } = apply(emptyState, { type: 'create-topics', version: 1, topics })

it('finds topics by name and by id, and says of each what it did not find', () => {
  const { topicIds, results } = planDeletions(state, [
    { name: 'a' },
    { topicId: 'id-b' },
    { name: 'id-c' },
    { topicId: 'c' }
  ])
  expect(topicIds).toEqual(['id-a', 'id-b'])
  expect(results.map(result => [result.kind, result.name, result.kind === 'refused' ? result.error : ''])).toEqual([
    ['done', 'a', ''],
    ['done', 'b', ''],
    ['refused', 'id-c', 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['refused', '', 'UNKNOWN_TOPIC_ID']
  ])
})

it('deletes nothing that is asked for by its name and by its id', () => {
  const { topicIds, results } = planDeletions(state, [{ name: 'a' }, { name: 'b' }, { topicId: 'id-a' }])
  expect(topicIds).toEqual(['id-b'])
  const refusal = {
    kind: 'refused',
    name: 'a',
    topicId: 'id-a',
    error: 'INVALID_REQUEST',
    message: 'The provided topic name maps to an ID that was already supplied.'
  }
  expect(results).toMatchObject([refusal, { kind: 'done', name: 'b' }, refusal])
})
