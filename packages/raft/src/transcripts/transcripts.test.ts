/**
 * Runs every transcript in this folder and compares what the replicas do with what is recorded. `RECORD=1` records anew.
 */
import assert from 'node:assert'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { runTranscript } from '../testing/transcript.ts'

describe('It happens as recorded:', () => {
  for (const name of readdirSync(import.meta.dirname).filter(name => name.endsWith('.txt'))) {
    test(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const path = join(import.meta.dirname, name)
      const recorded = readFileSync(path, 'utf8')
      const now = runTranscript(recorded)
      if (process.env['RECORD'] !== undefined) writeFileSync(path, now)
      else assert.equal(now, recorded)
    })
  }
})

test('A transcript that tells something else fails.', () => {
  const recorded = runTranscript('group 1\ncampaign 1\nflush 1\nflush 1\n')
  assert.match(recorded, /^ {2}1: commit 1$/m)
  const otherwise = recorded.replace('commit 1', 'commit 2')
  assert.notEqual(runTranscript(otherwise), otherwise)
})
