import assert from 'node:assert'
import { execFileSync } from 'node:child_process'
import { test } from 'vitest'
import { recommendedShardEnvironment, recommendedShardExecArgv } from './shard-environment.ts'

const applies = process.platform === 'linux' && process.arch === 'x64'

test.runIf(applies)('Tunables that are set already are kept, and one for the same threshold wins.', () => {
  const ours = 'glibc.cpu.x86_rep_movsb_threshold=0x40000000'
  assert.deepEqual(recommendedShardEnvironment({}), { GLIBC_TUNABLES: ours })
  const merged = recommendedShardEnvironment({ GLIBC_TUNABLES: 'glibc.malloc.arena_max=1' })
  assert.deepEqual(merged, { GLIBC_TUNABLES: `glibc.malloc.arena_max=1:${ours}` })
  assert.deepEqual(recommendedShardEnvironment({ GLIBC_TUNABLES: 'glibc.cpu.x86_rep_movsb_threshold=5' }), {})
})

test('Node takes the recommended flags and environment.', () => {
  const environment = { ...process.env, ...recommendedShardEnvironment(process.env) }
  const output = execFileSync(process.execPath, [...recommendedShardExecArgv(), '-p', '6 * 7'], { env: environment })
  assert.equal(output.toString().trim(), '42')
})
