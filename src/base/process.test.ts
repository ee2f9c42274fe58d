import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { startTimeOf } from './leftovers.ts'
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

test('a program that takes too long is ended with everything it started', async () => {
  let background = 0
  const started = runProcess(['sh', '-c', 'sleep 600 & echo $!; exec sleep 600'], {
    timeoutMs: 300,
    onOutput: (text) => (background = Number(text)),
  })
  await assert.rejects(started, failsWith('COMMAND_TIMEOUT'))
  assert.ok(background > 1)
  assert.ok(isGone(background), `process ${background} still runs`)
})

test('an abort ends the program', async () => {
  const controller = new AbortController()
  const running = runProcess(['sleep', '600'], { signal: controller.signal })
  controller.abort()
  await assert.rejects(running, failsWith('INTERRUPTED'))
  await assert.rejects(
    runProcess(['true'], { signal: controller.signal }),
    failsWith('INTERRUPTED'),
  )
})

test('input that the program does not read is no error', async () => {
  const { code } = await runProcess(['true'], { input: 'x'.repeat(1 << 20) })
  assert.equal(code, 0)
})

/** Whether a process is no more, or only waits to be buried by its parent. */
function isGone(pid: number): boolean {
  if (startTimeOf(pid) === undefined) return true
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}
