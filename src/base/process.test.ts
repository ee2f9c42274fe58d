import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { waitUntilGone } from '../testing/processes.ts'
import { findProgram, runProcess, runTool } from './process.ts'

test('a non-zero exit is an answer, with both streams apart', async () => {
  const { code, stdout, stderr } = await runProcess(['sh', '-c', 'echo out; echo err >&2; exit 7'])
  assert.deepEqual([code, stdout.toString(), stderr.toString()], [7, 'out\n', 'err\n'])
})

test('words reach the program as they are: no shell reads them', async () => {
  const words = ['a b', '$(id)', "it's", '', '-n', '*']
  const { stdout } = await runProcess(['printf', '[%s]', ...words])
  assert.equal(stdout.toString(), words.map((word) => `[${word}]`).join(''))
})

test('a tool that must succeed says how it ended and what it printed last', async () => {
  await assert.rejects(
    runTool(['sh', '-c', 'echo first; echo no such disk >&2; exit 3']),
    /sh ended with 3: no such disk/,
  )
})

test('a program that is not installed is a failure of its own', async () => {
  await assert.rejects(runProcess(['no-such-program-here']), failsWith('TOOL_MISSING'))
  assert.equal(findProgram('no-such-program-here'), undefined)
  assert.match(findProgram('sh') ?? '', /\/sh$/)
})

test('a program that takes too long is ended', async () => {
  const started = runProcess(['sleep', '600'], { timeoutMs: 100 })
  await assert.rejects(started, failsWith('COMMAND_TIMEOUT'))
})

test('an abort ends the program with everything it started', async () => {
  const controller = new AbortController()
  let background = 0
  const running = runProcess(['sh', '-c', 'sleep 600 & echo $!; exec sleep 600'], {
    signal: controller.signal,
    onOutput: (text) => {
      background = Number(text)
      controller.abort()
    },
  })
  await assert.rejects(running, failsWith('INTERRUPTED'))
  assert.ok(background > 1)
  await waitUntilGone(background)
  await assert.rejects(
    runProcess(['true'], { signal: controller.signal }),
    failsWith('INTERRUPTED'),
  )
})

test('input that the program does not read is no error', async () => {
  const { code } = await runProcess(['true'], { input: 'x'.repeat(1 << 20) })
  assert.equal(code, 0)
})
