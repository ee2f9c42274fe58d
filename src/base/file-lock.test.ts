import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { withFileLock } from './file-lock.ts'
import { runTool, startProcess, stopProcess } from './process.ts'

const inDir = await tempDir()
const { signal } = new AbortController()

test('one at a time holds a lock, each after the other', async () => {
  const order: string[] = []
  const use = async (name: string) =>
    await withFileLock(inDir('one'), signal, async () => {
      order.push(`${name} in`)
      await new Promise((resolve) => setImmediate(resolve))
      order.push(`${name} out`)
    })
  await Promise.all([use('a'), use('b'), use('c')])
  for (let index = 0; index < order.length; index += 2)
    assert.equal(order[index + 1], order[index]?.replace(' in', ' out'))
  assert.equal(order.length, 6)
})

test('a lock whose holder was killed is free', async () => {
  const child = startProcess(['flock', inDir('dead'), 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  await new Promise((resolve) => child.stdout?.once('data', resolve))
  const waiting = withFileLock(inDir('dead'), signal, async () => 'mine')
  await stopProcess(child, 0)
  assert.equal(await waiting, 'mine')
})

async function never(): Promise<never> {
  assert.fail('somebody else holds it')
}

test('waiting ends when it is interrupted, and nothing holds the lock for who gave up', async () => {
  const stop = new AbortController()
  await withFileLock(inDir('two'), signal, async () => {
    const waiting = withFileLock(inDir('two'), stop.signal, never)
    setImmediate(() => stop.abort())
    await assert.rejects(waiting, failsWith('INTERRUPTED'))
    await assert.rejects(withFileLock(inDir('two'), stop.signal, never), failsWith('INTERRUPTED'))
  })
  await runTool(['flock', '--nonblock', inDir('two'), 'true'])
})

test('what cannot be locked is said', async () => {
  const lock = withFileLock(inDir('none/there'), signal, async () => {})
  await assert.rejects(lock, failsWith('FILE_UNREADABLE'))
})
