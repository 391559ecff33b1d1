import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { apiByKey, apis } from './apis.ts'
import {
  VERSION_MAX,
  array,
  defaultOf,
  inVersions,
  int64,
  parseVersions,
  struct,
  uuid,
  type Versions
} from './schema.ts'

describe('The notation of schemas', () => {
  test('reads single, closed and open version ranges', () => {
    expect(parseVersions('4')).toEqual({ min: 4, max: 4 })
    expect(parseVersions('0-12')).toEqual({ min: 0, max: 12 })
    expect(parseVersions('9+')).toEqual({ min: 9, max: VERSION_MAX })
    expect(() => parseVersions('9-' as Versions)).toThrow(TypeError)
    expect(inVersions(12, parseVersions('9+'))).toBe(true)
    expect(inVersions(8, parseVersions('9+'))).toBe(false)
    expect(inVersions(0, undefined)).toBe(false)
  })

  test('gives every field a default, and arrays and structs a new one each time', () => {
    const field = struct('0+', { id: uuid('0+'), at: int64('0+').default(-1n), list: array('0+', int64).nullable() })
    expect(defaultOf(field)).toEqual({ id: 'AAAAAAAAAAAAAAAAAAAAAA', at: -1n, list: [] })
    expect(defaultOf(field)).not.toBe(defaultOf(field))
  })
})

describe('The APIs', () => {
  const kebab = (name: string) => name.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase()

  test('are all there, in the order of their keys, without the removed 4 to 7', () => {
    const keys = Object.values(apis).map(({ key }) => key)
    expect(keys).toEqual(Array.from({ length: 93 }, (_, key) => key).filter(key => key < 4 || key > 7))
    for (const key of keys) expect(apiByKey(key)?.key).toBe(key)
    for (const key of [-1, 4, 7, 93, 9999, 0.5]) expect(apiByKey(key)).toBeUndefined()
  })

  test('are called as Kafka calls them, and live in files of that name', () => {
    for (const [name, api] of Object.entries(apis)) {
      expect(name).toBe(api.name.charAt(0).toLowerCase() + api.name.slice(1))
    }
    const files = readdirSync(new URL('./apis', import.meta.url)).toSorted()
    expect(files).toEqual(
      Object.values(apis)
        .map(({ name }) => `${kebab(name)}.ts`)
        .toSorted()
    )
  })

  test('reach down to what old clients speak', () => {
    const { produce, fetch, listOffsets, offsetCommit, createTopics, deleteTopics, describeConfigs } = apis
    const { describeAcls, createAcls, deleteAcls } = apis
    const acls = [describeAcls, createAcls, deleteAcls]
    for (const api of [
      produce,
      fetch,
      listOffsets,
      offsetCommit,
      createTopics,
      deleteTopics,
      describeConfigs,
      ...acls
    ]) {
      expect(api.versions.min, api.name).toBe(0)
    }
  })
})
