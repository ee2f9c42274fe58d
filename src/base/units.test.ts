import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../testing/fails-with.ts'
import { formatDuration, formatSize, GiB, KiB, MiB, parseDuration, parseSize } from './units.ts'

test('reads sizes as people write them; K M G are powers of 1024, KB MB GB of 1000', () => {
  const sizes = {
    '512': 512,
    '4k': 4 * KiB,
    '3G': 3 * GiB,
    '1.5 GiB': 1.5 * GiB,
    '512MiB': 512 * MiB,
    '10MB': 1e7,
  }
  for (const [text, size] of Object.entries(sizes)) assert.equal(parseSize(text), size, text)
})

test('refuses what is not a size', () => {
  for (const text of ['', 'G', '-1', '3X', '1e3', '99999999999T', '0x10'])
    assert.throws(() => parseSize(text), failsWith('USAGE'), text)
})

test('never reads a size that is not a whole number of bytes', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.ok(Number.isSafeInteger(parseSize(text)))
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'USAGE')
      }
    }),
  )
})

test('shows sizes and times short enough for a line', () => {
  assert.deepEqual([0, 1536, 3 * GiB, 250 * MiB].map(formatSize), [
    '0 B',
    '1.5 KiB',
    '3.0 GiB',
    '250 MiB',
  ])
  assert.deepEqual([812, 59_960, 83_211, 7_500_000].map(formatDuration), [
    '0.8s',
    '1m 00s',
    '1m 23s',
    '2h 05m',
  ])
})

test('reads durations; a bare number is seconds', () => {
  assert.deepEqual(
    ['90', '90s', '5m', '2h', '250ms'].map(parseDuration),
    [90_000, 90_000, 300_000, 7_200_000, 250],
  )
})
