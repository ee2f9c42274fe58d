import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { memorySource, openFileSource } from '../bytes/source.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { parseSource } from './_parse-source.ts'
import { DEFAULT_LIMITS, type DiskParser, type Parse, type Parsing } from './parser.ts'

const path = await tempDir()
const HEAD = { at: 0, length: 512, name: 'header' }
const FILE = memorySource(Uint8Array.from({ length: 8192 }, (_, at) => at % 251))

function parser(parse: (parsing: Parsing) => Parse): DiskParser {
  return { name: 'raw', summary: 'a test', parse }
}

async function codesOf(parse: (parsing: Parsing) => Parse): Promise<unknown[]> {
  const { findings } = await parseSource(parser(parse), FILE)
  return findings.map(({ code, at }) => [code, at])
}

test('gives a parser what it asks for, from the start and from the end', async () => {
  await writeFile(path('file'), await FILE.read(0, FILE.size))
  await using file = await openFileSource(path('file'))
  for (const source of [FILE, file]) {
    const seen: number[] = []
    const parsed = await parseSource(
      parser(function* (parsing) {
        const head = yield { at: 0, length: 4, name: 'head' }
        const tail = yield { at: -512, length: 512, name: 'tail', order: 'big' }
        seen.push(head.u32(0), tail.u16(0), tail.start, parsing.fileSize ?? 0)
        return { virtualSize: 42 }
      }),
      source,
    )
    assert.deepEqual(seen, [0x03020100, ((7680 % 251) << 8) | (7681 % 251), 7680, 8192])
    assert.deepEqual(parsed, { disk: { virtualSize: 42 }, findings: [], more: 0, safe: true })
  }
})

test('an ask behind the end is a cut file, and the end of the parser', async () => {
  const asks = [
    { at: 8191, length: 2, name: 'table' },
    { at: 1e12, length: 1, name: 'table' },
  ]
  for (const ask of asks)
    assert.deepEqual(
      await codesOf(function* () {
        yield ask
        throw new Error('it goes on')
      }),
      [['TRUNCATED', ask.at]],
    )
})

test('a claim of what is taken is an overlap at the entry that makes it', async () => {
  const codes = await codesOf(function* (parsing) {
    yield HEAD
    assert.equal(parsing.claim(0, 512, 'header', 0), true)
    assert.equal(parsing.claim(511, 1, 'table', 24), false)
    assert.equal(parsing.claim(512, Infinity, 'data', 32), true)
    return { virtualSize: 0 }
  })
  assert.deepEqual(codes, [['OVERLAP', 24]])
})

test('the claim that reaches farthest tells whether the file is whole', async () => {
  const codes = await codesOf(function* (parsing) {
    yield HEAD
    parsing.claim(8191, 10, 'block', 40)
    parsing.claim(9000, 10, 'block', 44)
    return { virtualSize: 0 }
  })
  assert.deepEqual(codes, [['TRUNCATED', 44]])
})

test('numbers beyond counting are findings, and stop the parser', async () => {
  const { findings, disk } = await parseSource(
    parser(function* () {
      const fields = yield { at: 248, length: 8, name: 'header' }
      return { virtualSize: fields.size(0) }
    }),
    FILE,
  )
  assert.equal(disk, undefined)
  assert.deepEqual([findings[0]?.code, findings[0]?.at], ['OUT_OF_RANGE', 248])
})

test('keeps a hundred findings and counts the rest', async () => {
  const parsed = await parseSource(
    parser(function* (parsing) {
      yield HEAD
      for (let at = 0; at < 250; at++) parsing.note('ODD', { at })
      return { virtualSize: 0 }
    }),
    FILE,
  )
  assert.deepEqual([parsed.findings.length, parsed.more, parsed.safe], [100, 150, true])
})

test('stops a parser that takes too long', async () => {
  let time = 0
  const { findings, safe } = await parseSource(
    parser(function* (parsing) {
      yield HEAD
      for (let at = 0; ; at += 512) parsing.claim(at, 512, 'block', 0)
    }),
    FILE,
    { limits: { ...DEFAULT_LIMITS, timeMs: 50 }, now: () => new Date(time++) },
  )
  assert.deepEqual([findings[0]?.code, safe], ['LIMIT_REACHED', false])
})

test('an ask beyond what was agreed is a bug, not a finding', async () => {
  for (const ask of [
    { at: 0, length: 2 ** 21, name: 'x' },
    { at: -8192, length: 1, name: 'x' },
  ])
    await assert.rejects(
      parseSource(
        parser(function* () {
          yield ask
          return { virtualSize: 0 }
        }),
        FILE,
      ),
      RangeError,
    )
})
