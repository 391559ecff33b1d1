import { schema } from '@milena/wire-protocol'
import { strToU8, zipSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { compareSchemas } from './compare-schemas.ts'
import { falsifications } from './falsify.ts'
import { readMessages } from './kafka-messages.ts'

const { api, array, bool, int16, int32, int64, records, string, struct, uuid } = schema

/** An invented API that has one of everything. */
const lendBook = api({
  key: 5,
  name: 'LendBook',
  versions: '0-4',
  flexible: '3+',
  request: {
    reader: string('0+').nullable('2+'),
    dueMs: int64('1+').default(-1n).ignorable(),
    books: array('0+', {
      title: string('0-3').ignorable(),
      bookId: uuid('4+').ignorable(),
      chapters: array('0+', int32),
      cover: records('0+').nullable(),
      oldShelf: int32('0').default(7)
    })
  },
  response: {
    errorCode: int16('0+'),
    fine: struct('3+', { cents: int32('3+').default(-1) }).tagged(0),
    isLate: bool('0+').default(true)
  }
})

const request = {
  apiKey: 5,
  type: 'request',
  name: 'LendBookRequest',
  validVersions: '1-4',
  flexibleVersions: '3+',
  fields: [
    { name: 'Reader', type: 'string', versions: '0+', nullableVersions: '2+', about: 'http://not.a/comment' },
    { name: 'DueMs', type: 'int64', versions: '1+', default: '-1', ignorable: true },
    {
      name: 'Books',
      type: '[]Book',
      versions: '0+',
      fields: [
        { name: 'Title', type: 'string', versions: '0-3', ignorable: true },
        { name: 'BookId', type: 'uuid', versions: '4+', ignorable: true },
        { name: 'Chapters', type: '[]int32', versions: '0+' },
        { name: 'Cover', type: 'records', versions: '0+', nullableVersions: '0+' }
      ]
    }
  ]
}

const response = {
  apiKey: 5,
  type: 'response',
  name: 'LendBookResponse',
  validVersions: '1-4',
  flexibleVersions: '3+',
  commonStructs: [
    { name: 'Fine', versions: '3+', fields: [{ name: 'Cents', type: 'int32', versions: '3+', default: -1 }] }
  ],
  fields: [
    { name: 'ErrorCode', type: 'int16', versions: '0+' },
    { name: 'Fine', type: 'Fine', versions: '3+', taggedVersions: '3+', tag: '0' },
    { name: 'IsLate', type: 'bool', versions: '0+', default: 'true' }
  ]
}

const olderRequest = {
  ...request,
  validVersions: '0-2',
  fields: request.fields.map(field =>
    field.fields === undefined
      ? field
      : { ...field, fields: [...field.fields, { name: 'OldShelf', type: 'int32', versions: '0', default: '7' }] }
  )
}

function jarOf(...messages: { name: string; [fact: string]: unknown }[]): Uint8Array {
  const texts = messages.map(
    message => [`common/message/${message.name}.json`, `// licence\n${JSON.stringify(message)}`] as const
  )
  return zipSync({ 'common/Other.class': strToU8('x'), ...Object.fromEntries(texts.map(([n, t]) => [n, strToU8(t)])) })
}

const newest = readMessages(jarOf(request, response))
const older = readMessages(jarOf(olderRequest, { ...response, validVersions: '0-2' }))

describe('The comparison with Kafka', () => {
  test('finds nothing where all facts agree, in new versions and in old ones', () => {
    const { differences, ...counts } = compareSchemas([lendBook], newest, older)
    expect(differences).toEqual([])
    expect(counts).toMatchObject({ apiCount: 1, versionCount: 10, fieldCount: 19 })
  })

  test('notices every single wrong fact', () => {
    const lies = [...falsifications(lendBook)]
    expect(lies.length).toBeGreaterThan(100)
    const believed = lies.filter(({ api: lie }) => compareSchemas([lie], newest, older).differences.length === 0)
    expect(believed.map(({ lie }) => lie)).toEqual([])
  })

  test('names the field and both sides of a difference', () => {
    const wrong = { ...lendBook, response: { ...lendBook.response, errorCode: int32('0+') } }
    expect(compareSchemas([wrong], newest, older).differences).toContain(
      "LendBookResponse.errorCode: type: ours int32, Kafka's int16"
    )
  })

  test('notices an API that only Kafka has, and one that only we have', () => {
    const foreign = readMessages(jarOf(request, response, { ...request, name: 'ReturnBookRequest' }))
    expect(compareSchemas([lendBook], foreign, older).differences).toEqual(['ReturnBook: we do not have this API'])
    const { differences } = compareSchemas([lendBook, { ...lendBook, name: 'SellBook' }], newest, older)
    expect(differences).toHaveLength(2)
  })

  test('notices old versions that no definition backs', () => {
    expect(compareSchemas([lendBook], newest, newest).differences).toContain(
      'LendBookRequest: no definition of versions 0-0'
    )
  })

  test('leaves out messages that have no valid version any more', () => {
    expect(readMessages(jarOf({ ...request, validVersions: 'none' })).size).toBe(0)
  })
})
