import { describe, expect, test } from 'vitest'
import { errorCode, errorMessage, errorName, errorNames, isRetriable } from './errors.ts'

describe('error table', () => {
  test('codes run from -1 to 133 without a gap', () => {
    expect(errorNames.map(errorCode)).toEqual(Array.from({ length: 135 }, (_, index) => index - 1))
  })

  test('name and code are inverse to each other', () => {
    for (const name of errorNames) expect(errorName(errorCode(name))).toBe(name)
  })

  test('well-known codes are those of the protocol guide', () => {
    expect(errorCode('NONE')).toBe(0)
    expect(errorCode('OFFSET_OUT_OF_RANGE')).toBe(1)
    expect(errorCode('NOT_LEADER_OR_FOLLOWER')).toBe(6)
    expect(errorCode('INVALID_RECORD')).toBe(87)
    expect(errorCode('UNKNOWN_TOPIC_ID')).toBe(100)
    expect(errorCode('SHARE_SESSION_LIMIT_REACHED')).toBe(133)
  })

  test('a code that Kafka 4.3 does not know reads as UNKNOWN_SERVER_ERROR', () => {
    for (const code of [134, 32767, -2, -32768, 0.5, Number.NaN]) expect(errorName(code)).toBe('UNKNOWN_SERVER_ERROR')
  })

  test('exactly the errors that Kafka marks as retriable are retriable', () => {
    const codes = errorNames.filter(isRetriable).map(errorCode)
    expect(codes).toEqual([
      2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106,
      122, 123, 133
    ])
  })

  test('every error has a message of its own', () => {
    expect(new Set(errorNames.map(errorMessage)).size).toBe(errorNames.length)
  })
})
