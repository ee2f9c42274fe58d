import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import * as fc from 'fast-check'
import { memorySource } from '../bytes/source.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openDisk } from './open-disk.ts'
import { StreamParse } from './_parse-stream.ts'
import { DEFAULT_LIMITS, type DiskParser, type Limits, MAX_ASK } from './parser.ts'

const path = await tempDir()
const UNIT = 64

/**
 * A format made for these tests: 16 bytes of header (where the table stands, how many entries it
 * has), and a table of guest unit, place, length of the payload (0: as it is). Its table may stand
 * anywhere, its units in any order.
 */
const TOY: DiskParser = {
  name: 'raw',
  summary: 'a toy',
  *parse(parsing) {
    const head = yield { at: 0, length: 16, name: 'header' }
    const [table, count] = [head.u32(0), head.u32(4)]
    parsing.claim(0, 16, 'header', 0)
    parsing.claim(table, count * 12, 'table', 0)
    for (let done = 0; done < count; done += 5) {
      const part = Math.min(5, count - done)
      const fields = yield { at: table + done * 12, length: part * 12, name: 'table' }
      for (let at = 0; at < part * 12; at += 12) {
        const [guest, host, packed] = [
          fields.u32(at) * UNIT,
          fields.u32(at + 4),
          fields.u32(at + 8),
        ]
        if (!parsing.claim(host, packed || UNIT, 'unit', fields.start + at)) continue
        const place = { guest, host, length: UNIT }
        if (packed === 0) parsing.announce({ kind: 'data', ...place })
        else parsing.announce({ kind: 'deflate', ...place, hostLength: packed })
      }
    }
    const tail = yield { at: -8, length: 8, name: 'tail' }
    return { virtualSize: tail.u32(0) * UNIT }
  },
}

/** A file of the toy format: `order` says in which order what comes; -1 is the table, -2 a gap. */
function toyFile(order: readonly number[], packed: ReadonlySet<number>): Buffer {
  const units = order.filter((unit) => unit >= 0)
  const table = Buffer.alloc(units.length * 12)
  const parts: Buffer[] = [Buffer.alloc(16)]
  let at = 16
  let entry = 0
  for (const unit of order) {
    const content = Buffer.alloc(UNIT, unit + 1)
    const part =
      unit === -1
        ? table
        : unit === -2
          ? Buffer.alloc(7000)
          : packed.has(unit)
            ? deflateRawSync(content)
            : content
    if (unit === -1) parts[0]?.writeUInt32LE(at, 0)
    if (unit >= 0) {
      table.writeUInt32LE(unit, entry)
      table.writeUInt32LE(at, entry + 4)
      table.writeUInt32LE(packed.has(unit) ? part.length : 0, entry + 8)
      entry += 12
    }
    parts.push(part)
    at += part.length
  }
  parts[0]?.writeUInt32LE(units.length, 4)
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(40, 0)
  return Buffer.concat([...parts, tail])
}

async function parseInChunks(
  file: Buffer,
  chunks: readonly number[],
  limits: Limits = DEFAULT_LIMITS,
  maxPending = 1000,
) {
  const disk = Buffer.alloc(40 * UNIT)
  await using parse = new StreamParse(TOY, {
    limits,
    maxPending,
    spool: { directory: path(''), limit: 2 ** 30, newId: () => 'x' },
    sink: { write: (guest, bytes) => disk.set(bytes, guest) },
  })
  for (let at = 0, index = 0; at < file.length; index++) {
    const length = chunks[index % chunks.length] ?? 1
    await parse.push(Buffer.from(file.subarray(at, at + length)))
    at += length
  }
  return { disk, parsed: await parse.end() }
}

async function codesOf(bytes: Buffer, limits?: Limits): Promise<string[]> {
  return (await parseInChunks(bytes, [33], limits)).parsed.findings.map(({ code }) => code)
}

const layouts = fc
  .record({
    order: fc.shuffledSubarray([-1, -2, ...Array.from({ length: 40 }, (_, unit) => unit)], {
      minLength: 1,
    }),
    packed: fc.uniqueArray(fc.nat(39)),
    chunks: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }),
  })
  .map(({ order, packed, chunks }) => ({
    file: toyFile(order.includes(-1) ? order : [...order, -1], new Set(packed)),
    chunks,
  }))

test('a stream gives what the file gives, whatever its layout, its chunks and how much is remembered', async () => {
  await fc.assert(
    fc.asyncProperty(layouts, fc.constantFrom(1, 7, 1000), async ({ file, chunks }, most) => {
      const random = await openDisk(memorySource(file), TOY)
      const { disk, parsed } = await parseInChunks(file, chunks, DEFAULT_LIMITS, most)
      assert.equal(parsed.disk?.virtualSize, 40 * UNIT)
      assert.deepEqual(disk, Buffer.from(await random.read(0, random.size)))
      assert.deepEqual(
        parsed.findings.filter(({ code }) => code !== 'OUT_OF_ORDER'),
        [],
      )
    }),
    { numRuns: 150 },
  )
})

test('a disk is read at any place as it is read whole', async () => {
  await fc.assert(
    fc.asyncProperty(layouts, fc.nat(40 * UNIT), fc.nat(40 * UNIT), async ({ file }, a, b) => {
      const disk = await openDisk(memorySource(file), TOY)
      const [from, to] = [Math.min(a, b), Math.max(a, b)]
      const whole = await disk.read(0, disk.size)
      assert.deepEqual(
        Buffer.from(await disk.read(from, to - from)),
        Buffer.from(whole.subarray(from, to)),
      )
      let at = from
      for (const run of disk.runs(from, to)) {
        assert.equal(run.offset, at)
        at += run.length
        const bytes = Buffer.from(whole.subarray(run.offset, at))
        if (run.kind === 'zeros') assert.ok(bytes.every((byte) => byte === 0))
        if (run.kind === 'data')
          assert.deepEqual(bytes, file.subarray(run.host, run.host + run.length))
      }
      assert.equal(at, to)
    }),
  )
})

test('a cut stream is found to be cut at every byte, and what is found does not depend on chunks', async () => {
  const file = toyFile([3, -1, 5, 1, -2, 9], new Set([5]))
  for (let length = 0; length < file.length; length += length < 500 ? 1 : 389) {
    const cut = file.subarray(0, length)
    const { parsed } = await parseInChunks(cut, [7])
    assert.equal(parsed.safe, false, `${length} bytes`)
    const once = await parseInChunks(cut, [1e6])
    assert.deepEqual(parsed.findings, once.parsed.findings)
  }
})

test('counts what had to be put aside, and says so', async () => {
  const before = await parseInChunks(toyFile([-1, 1, 2, 3], new Set()), [100])
  const after = await parseInChunks(toyFile([1, 2, 3, -1], new Set()), [100])
  assert.deepEqual([before.parsed.spooled, after.parsed.spooled], [0, 3 * UNIT])
  assert.deepEqual(before.parsed.findings, [])
  assert.deepEqual(
    after.parsed.findings.map(({ code, severity }) => [code, severity]),
    [['OUT_OF_ORDER', 'info']],
  )
})

test('a damaged payload, and more content than allowed, are findings', async () => {
  const file = toyFile([-1, 1, 2], new Set([2]))
  const damaged = Buffer.from(file)
  damaged.fill(0xff, damaged.length - 14, damaged.length - 8)
  assert.deepEqual(await codesOf(damaged), ['CONTENT_DAMAGED'])
  assert.deepEqual(await codesOf(file, { ...DEFAULT_LIMITS, unpackedSize: 100 }), ['SIZE_LIMIT'])
})

test('what is put aside goes to a file without a name when it is much', async () => {
  const units = [0, 1, 2]
  const file = Buffer.concat([toyFile([...units, -1], new Set())])
  const big = Buffer.alloc(20 * MAX_ASK, 7)
  const table = file.readUInt32LE(0)
  const moved = Buffer.concat([file.subarray(0, table), big, file.subarray(table)])
  moved.writeUInt32LE(table + big.length, 0)
  const { disk, parsed } = await parseInChunks(moved, [65_536])
  assert.deepEqual(
    units.map((unit) => disk[unit * UNIT]),
    [1, 2, 3],
  )
  assert.equal(parsed.safe, true)
  assert.deepEqual(await readdir(path('')), [])
})
