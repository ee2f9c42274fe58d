import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { QmpLines, type QmpMessage } from './_qmp-lines.ts'

const read = (...chunks: (string | Uint8Array)[]): QmpMessage[] => {
  const lines = new QmpLines()
  return chunks.flatMap((chunk) => lines.push(Buffer.from(chunk)))
}

test('reads greeting, replies, refusals and events as QEMU writes them', () => {
  const greeting =
    '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}\r\n'
  const event =
    '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}\r\n'
  const refusal =
    '{"id": 2, "error": {"class": "CommandNotFound", "desc": "The command x has not been found"}}\r\n'
  assert.deepEqual(read(greeting, '{"return": {}, "id": 1}\r\n', event, refusal), [
    { kind: 'greeting', version: '7.2.22' },
    { kind: 'reply', id: 1, value: {} },
    { kind: 'event', name: 'RESET', data: { guest: true, reason: 'guest-reset' } },
    { kind: 'refusal', id: 2, why: 'The command x has not been found' },
  ])
})

test('leaves out empty lines, and messages that it does not know', () => {
  assert.deepEqual(read('\r\n\n{"new": "thing"}\n{"return": {}}\n'), [])
})

test('refuses lines that are no JSON object', () => {
  for (const line of ['QEMU says hello', '{"return": ', '[]', '17', 'null'])
    assert.throws(() => read(`${line}\n`), failsWith('MACHINE_FAILED'), line)
})

test('refuses a line without end', () => {
  const lines = new QmpLines()
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  assert.throws(() => {
    for (let count = 0; count < 10; count++) lines.push(chunk)
  }, failsWith('MACHINE_FAILED'))
})

test('gives the same messages however the stream is cut', () => {
  const message = fc.oneof(
    fc.record({ return: fc.jsonValue(), id: fc.nat() }),
    fc.record({ event: fc.string(), data: fc.dictionary(fc.string(), fc.jsonValue()) }),
    fc.record({ error: fc.record({ desc: fc.string() }), id: fc.nat() }),
  )
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 9 }),
      (sent, cuts) => {
        const stream = Buffer.from(sent.map((one) => `${JSON.stringify(one)}\r\n`).join(''))
        const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((end, index) => stream.subarray(places[index], end))
        assert.equal(read(stream).length, sent.length)
        assert.deepEqual(read(...pieces), read(stream))
      },
    ),
  )
})

test('throws nothing but Failures, whatever comes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
      try {
        read(...chunks, '\n')
      } catch (error) {
        assert.ok(isFailure(error, 'MACHINE_FAILED'))
      }
    }),
  )
})
