import assert from 'node:assert'
import { test } from 'vitest'
import { GateClosedError } from './errors.ts'
import { Gate } from './gate.ts'

test('Closing ends when the last one who is in has left, and not before.', async () => {
  const gate = new Gate('requests')
  gate.enter()
  gate.enter()
  let closed = false
  const closing = gate.close().then(() => (closed = true))
  gate.leave()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(closed, false)
  assert.equal(gate.count, 1)
  gate.leave()
  await closing
})

test('Closing an empty gate ends at once, and closing again gives the same promise.', async () => {
  const gate = new Gate('requests')
  assert.equal(gate.close(), gate.close())
  await gate.close()
})

test('Nobody enters a gate that is closing.', async () => {
  const gate = new Gate('requests')
  gate.enter()
  const closing = gate.close()
  assert.equal(gate.tryEnter(), false)
  assert.throws(() => gate.enter(), GateClosedError)
  await assert.rejects(
    gate.run(() => 1),
    /gate "requests" is closed/
  )
  gate.leave()
  await closing
})

test('Work leaves the gate however it ends.', async () => {
  const gate = new Gate('requests')
  assert.equal(await gate.run(() => 5), 5)
  await assert.rejects(
    gate.run(() => Promise.reject(new Error('no'))),
    /no/
  )
  assert.equal(gate.count, 0)
  assert.throws(() => gate.leave(), /as many leave as entered/)
})
