import assert from 'node:assert'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'vitest'
import { allowedCpus, findTaskset, parseCpuList, pinMethod, spawnOnCpu } from './affinity.ts'

const linux = process.platform === 'linux'
const affinityUrl = new URL('./affinity.ts', import.meta.url).href

/** Prints the distinct CPU lists of all threads of the process that runs it. */
const PRINT_THREAD_CPUS = `
  const { readdirSync, readFileSync } = await import('node:fs')
  const lists = readdirSync('/proc/self/task').map(id => /Cpus_allowed_list:\\s*(\\S+)/.exec(readFileSync('/proc/self/task/' + id + '/status', 'utf8'))[1])
  console.log([...new Set(lists)].join(' '))`

test('CPU lists are read as the kernel writes them.', () => {
  assert.deepEqual(parseCpuList('0-3,8'), [0, 1, 2, 3, 8])
  assert.deepEqual(parseCpuList('5'), [5])
  assert.deepEqual(parseCpuList(''), [])
})

test.runIf(linux)('A child started on a CPU has all of its threads there; the parent is back where it was.', () => {
  assert.equal(pinMethod(), 'inherit')
  const before = allowedCpus()
  const cpu = before.at(-1)!
  const child = spawnOnCpu(cpu, () => spawnSync(process.execPath, ['--input-type=module', '-e', PRINT_THREAD_CPUS]))
  assert.equal(child.stdout.toString().trim(), String(cpu))
  assert.deepEqual(allowedCpus(), before)
})

test.runIf(linux)('When the start throws, the parent is back where it was.', () => {
  const before = allowedCpus()
  assert.throws(() =>
    spawnOnCpu(before[0]!, () => {
      throw new Error('no process')
    })
  )
  assert.deepEqual(allowedCpus(), before)
})

test.runIf(linux)('A process can pin all of its own threads; a CPU that it may not use is refused.', () => {
  const cpu = allowedCpus().at(-1)!
  const script = `const { pinToCore } = await import(${JSON.stringify(affinityUrl)})
    if (pinToCore(1000)) process.exit(3)
    if (!pinToCore(${cpu})) process.exit(4)
    ${PRINT_THREAD_CPUS}`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  assert.equal(output.toString().trim(), String(cpu))
})

test.runIf(findTaskset() !== undefined)('taskset, the fallback, pins a child as well.', () => {
  const cpu = allowedCpus().at(-1)!
  const command = ['-c', String(cpu), process.execPath, '--input-type=module', '-e', PRINT_THREAD_CPUS]
  assert.equal(execFileSync(findTaskset()!, command).toString().trim(), String(cpu))
})
