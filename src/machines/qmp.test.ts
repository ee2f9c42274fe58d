import assert from 'node:assert/strict'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { failsWith } from '../testing/fails-with.ts'
import { openQmp, type QmpEvent } from './qmp.ts'

const GREETING = '{"QMP": {"version": {"qemu": {"major": 9, "minor": 1, "micro": 0}}}}\r\n'

/** The other side of the talk: greets, agrees on capabilities, and leaves the rest to `answer`. */
function speak(
  stream: Duplex,
  answer: (command: string, id: number, input: unknown) => string | undefined,
): void {
  stream.write(GREETING)
  stream.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const asked = JSON.parse(line) as { execute: string; id: number; arguments: unknown }
      const said =
        asked.execute === 'qmp_capabilities'
          ? JSON.stringify({ return: {}, id: asked.id })
          : answer(asked.execute, asked.id, asked.arguments)
      if (said !== undefined) stream.write(`${said}\r\n`)
    }
  })
}

test('commands get their own answers, in whatever order these come', async () => {
  const [ours, theirs] = duplexPair()
  const held: string[] = []
  speak(theirs, (command, id, input) => {
    held.unshift(JSON.stringify({ return: { command, input }, id }))
    return held.length === 2 ? held.join('\r\n') : undefined
  })
  const qmp = await openQmp(ours, () => {})
  assert.equal(qmp.version, '9.1.0')
  assert.deepEqual(await Promise.all([qmp.execute('stop'), qmp.execute('cont', { now: true })]), [
    { command: 'stop', input: {} },
    { command: 'cont', input: { now: true } },
  ])
})

test('events are told', async () => {
  const [ours, theirs] = duplexPair()
  const events: QmpEvent[] = []
  speak(theirs, (_command, id) => `{"event": "STOP"}\r\n{"return": {}, "id": ${id}}`)
  const qmp = await openQmp(ours, (event) => events.push(event))
  await qmp.execute('stop')
  assert.deepEqual(events, [{ name: 'STOP', data: {} }])
})

test('what QEMU refuses fails with its reason', async () => {
  const [ours, theirs] = duplexPair()
  speak(
    theirs,
    (_command, id) => `{"error": {"class": "GenericError", "desc": "no disk"}, "id": ${id}}`,
  )
  const qmp = await openQmp(ours, () => {})
  await assert.rejects(qmp.execute('eject'), /QEMU refused eject: no disk/)
})

test('a command that is not answered in time fails, and its late answer harms nobody', async () => {
  const [ours, theirs] = duplexPair()
  let late: string | undefined
  speak(theirs, (command, id) => {
    if (command === 'slow') late = `{"return": "late", "id": ${id}}`
    return command === 'slow' ? undefined : `${late}\r\n{"return": "in time", "id": ${id}}`
  })
  const qmp = await openQmp(ours, () => {})
  await assert.rejects(qmp.execute('slow', {}, 1), failsWith('MACHINE_FAILED'))
  assert.equal(await qmp.execute('quick'), 'in time')
})

test('when QEMU goes away, what waits fails, and what comes after', async () => {
  const [ours, theirs] = duplexPair()
  speak(theirs, () => {
    theirs.destroy()
    return undefined
  })
  const qmp = await openQmp(ours, () => {})
  await assert.rejects(qmp.execute('quit'), failsWith('MACHINE_FAILED'))
  await assert.rejects(qmp.execute('quit'), failsWith('MACHINE_FAILED'))
})

test('a stream that is no QMP is refused', async () => {
  const [ours, theirs] = duplexPair()
  theirs.write('SSH-2.0-OpenSSH_9.2\r\n')
  await assert.rejects(
    openQmp(ours, () => {}),
    /is not JSON/,
  )
})
