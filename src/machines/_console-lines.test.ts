import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ConsoleLines } from './_console-lines.ts'

const read = (...chunks: (string | Uint8Array)[]): ConsoleLines => {
  const lines = new ConsoleLines()
  for (const chunk of chunks) lines.push(Buffer.from(chunk))
  return lines
}

test('colours, cursor moves, window titles and control characters go', () => {
  const colourful = '[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mssh.service\x1b[0m - OpenBSD\r\n'
  assert.deepEqual(read(colourful).tail(9), ['[  OK  ] Started ssh.service - OpenBSD'])
  assert.deepEqual(read('\x1b[2J\x1b[1;1H\x1b]0;title\x07a\x00b\x1b(B\tc\n').tail(9), ['ab\tc'])
})

test('a line ends at a line feed or a carriage return; empty ones do not count', () => {
  assert.deepEqual(read('one\r\ntwo\rthree\n\n\nfour').tail(9), ['one', 'two', 'three', 'four'])
})

test('a line that has not ended can be seen', () => {
  const lines = read('debian login', ': ')
  assert.equal(lines.unfinished, 'debian login:')
  assert.deepEqual(lines.push(Buffer.from('\n')), ['debian login:'])
  assert.equal(lines.unfinished, '')
})

test('bytes that are no text, and characters cut in two, do no harm', () => {
  const bytes = Buffer.from('grüße\n')
  assert.deepEqual(read(bytes.subarray(0, 3), bytes.subarray(3)).tail(9), ['grüße'])
  assert.equal(read(new Uint8Array([0xff, 0xfe, 0x41, 0x0a])).tail(9).length, 1)
})

test('memory stays bounded: the first hundred lines and the last thousand stay', () => {
  const lines = read('x'.repeat(1_000_000), '\n')
  assert.equal(lines.tail(1)[0]?.length, 1000)
  for (let number = 0; number < 10_000; number++) lines.push(Buffer.from(`line ${number}\n`))
  const kept = lines.tail(100_000)
  assert.ok(kept.length >= 1100 && kept.length <= 2101, `${kept.length} lines`)
  assert.ok(kept.includes('line 50') && kept.includes('line 9999') && !kept.includes('line 5000'))
})

test('the same lines come however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\x1b', '[0m', 'a', 'ü', '\r', '\n', ' ', ';', '\x07', ']')),
      fc.array(fc.nat()),
      (parts, cuts) => {
        const stream = Buffer.from(parts.join(''))
        const places = [0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length]
        places.sort((a, b) => a - b)
        const pieces = places.slice(1).map((end, index) => stream.subarray(places[index], end))
        assert.deepEqual(read(...pieces).tail(999), read(stream).tail(999))
      },
    ),
  )
})
