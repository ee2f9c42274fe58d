import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFailure } from '../base/failure.ts'
import { isAlive, waitUntilGone } from '../testing/processes.ts'
import { type Child, openChild } from './_child-calls.ts'
import type { EchoCalls } from '../testing/echo-child.ts'

const file = new URL('../testing/echo-child.ts', import.meta.url)
const openEcho = (onEvent?: (event: string, data: unknown) => void): Child<EchoCalls> =>
  openChild<EchoCalls>(file, { title: 'the echo', ...(onEvent && { onEvent }) })

test('calls are answered with what the function returned, bytes as bytes', async () => {
  await using child = openEcho()
  assert.deepEqual(await child.call('echo', 'hello'), 'hello')
  const bytes = await child.call('echo', new Uint8Array([0, 255, 128]))
  assert.deepEqual(new Uint8Array(bytes as Uint8Array), new Uint8Array([0, 255, 128]))
})

test('calls do not wait for one another', async () => {
  await using child = openEcho()
  const slow = child.call('never')
  assert.equal(await child.call('echo', 1), 1)
  const refused = assert.rejects(slow)
  await child.close()
  await refused
})

test('a Failure crosses the channel whole, another error as an error', async () => {
  await using child = openEcho()
  await assert.rejects(child.call('fail', 'NO_SPACE'), (error) => {
    assert.ok(isFailure(error, 'NO_SPACE'))
    assert.deepEqual(error.details, { asked: 'NO_SPACE' })
    assert.equal(error.fix, 'try again')
    return true
  })
  await assert.rejects(child.call('fail', 'nothing known'), (error) => !isFailure(error))
})

test('what the child tells unasked arrives as an event', async () => {
  const told: unknown[] = []
  await using child = openEcho((event, data) => told.push([event, data]))
  await child.call('tell', 'half-way')
  assert.deepEqual(told, [['said', 'half-way']])
})

test('a child that is killed loses its calls, and those after, with its last words', async () => {
  await using child = openEcho()
  await child.call('print', 'something is wrong')
  const waiting = assert.rejects(child.call('never'), (error) => {
    assert.ok(isFailure(error, 'REMOTE_LOST'))
    assert.match(error.message, /^the echo: its process ended \(SIGKILL\): something is wrong$/)
    assert.deepEqual(error.details['during'], ['never'])
    return true
  })
  process.kill(child.pid!, 'SIGKILL')
  await waiting
  await assert.rejects(child.call('echo', 1), (error) => isFailure(error, 'REMOTE_LOST'))
})

test('a child that does not answer in time is killed', async () => {
  await using child = openEcho()
  await assert.rejects(child.callWithin(100, 'never'), (error) => {
    assert.ok(isFailure(error, 'REMOTE_LOST'))
    assert.match(error.message, /no answer to 'never' within 0.1 s/)
    return true
  })
  await waitUntilGone(child.pid!)
})

test('what a child started is gone with it', async () => {
  const child = openEcho()
  const grandchild = await child.call('spawn')
  assert.ok(isAlive(grandchild))
  await child.close()
  await waitUntilGone(grandchild)
})

test('a launcher that is not installed is said to be missing', async () => {
  await using child = openChild<EchoCalls>(file, {
    title: 'the echo',
    launcher: ['no-such-launcher'],
  })
  await assert.rejects(child.call('echo', 1), (error) => isFailure(error, 'TOOL_MISSING'))
})

test('closing twice is fine', async () => {
  const child = openEcho()
  await child.close()
  await child.close()
  await assert.rejects(child.call('echo', 1), (error) => isFailure(error, 'REMOTE_LOST'))
})
