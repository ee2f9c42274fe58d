import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memorySource } from '../../bytes/source.ts'
import { assertRefused, parseBytes } from '../../testing/parse-image.ts'
import { parseSource } from '../_parse-source.ts'
import { DEFAULT_LIMITS } from '../parser.ts'
import { rawParser } from './raw.ts'

test('a raw disk is one extent up to its end, whatever stands in it', async () => {
  const bytes = Buffer.alloc(1024, 'conectix')
  assert.deepEqual(await parseBytes(rawParser, bytes), {
    disk: { virtualSize: 1024 },
    extents: [{ kind: 'data', guest: 0, host: 0, length: Infinity }],
    findings: [],
    more: 0,
    safe: true,
  })
})

test('a raw disk that ends inside a sector is made whole, and told', async () => {
  const { disk, findings, safe } = await parseBytes(rawParser, Buffer.alloc(513))
  assert.deepEqual(
    [disk, findings.map(({ code, at }) => [code, at]), safe],
    [{ virtualSize: 1024 }, [['NOT_PADDED', 513]], true],
  )
})

test('refuses an empty file', async () => {
  await assertRefused(rawParser, Buffer.alloc(0), 'EMPTY', 0)
})

test('refuses a raw disk above the limit', async () => {
  const limits = { ...DEFAULT_LIMITS, virtualSize: 1024 }
  const { findings, safe } = await parseSource(rawParser, memorySource(Buffer.alloc(1536)), {
    limits,
  })
  assert.deepEqual([findings[0]?.code, safe], ['SIZE_LIMIT', false])
})
