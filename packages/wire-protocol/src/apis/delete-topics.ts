/** Deletes topics by name, or by id since version 6 (KIP-516). */
import { api, array, int16, int32, string, uuid } from '../schema.ts'

export const deleteTopics = api({
  key: 20,
  name: 'DeleteTopics',
  versions: '0-6',
  flexible: '4+',
  request: {
    topics: array('6+', { name: string('6+').nullable().default(null), topicId: uuid('6+') }),
    topicNames: array('0-5', string).ignorable(),
    timeoutMs: int32('0+')
  },
  response: {
    throttleTimeMs: int32('1+').ignorable(),
    responses: array('0+', {
      name: string('0+').nullable('6+'),
      topicId: uuid('6+').ignorable(),
      errorCode: int16('0+'),
      errorMessage: string('5+').nullable().default(null).ignorable()
    })
  }
})
