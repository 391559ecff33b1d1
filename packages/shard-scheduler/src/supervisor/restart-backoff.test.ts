import assert from 'node:assert'
import { test } from 'vitest'
import { defaultRestartSettings, restartDelayMs } from './restart-backoff.ts'

test('Each crash in a row waits twice as long as the one before, up to the longest wait.', () => {
  const delays = Array.from({ length: 10 }, (_, crash) => restartDelayMs(crash + 1, defaultRestartSettings))
  assert.deepEqual(delays, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000])
})

test('However many crashes, the wait is the longest one.', () => {
  assert.equal(restartDelayMs(100_000, defaultRestartSettings), 10_000)
})
