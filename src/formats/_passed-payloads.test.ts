import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { it } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import * as fc from 'fast-check'
import { SECTOR } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openDisk } from './open-disk.ts'
import { StreamParse } from './_parse-stream.ts'
import { PassedPayloads } from './_passed-payloads.ts'
import { DEFAULT_LIMITS, type DiskParser } from './parser.ts'

const path = await tempDir()
const UNIT = 2048
const UNITS = 24

/**
 * A format made for these tests: each unit of the disk has a record of its own (where the next record
 * stands, where its payload does, up to the end of which sector), and records and payloads stand in
 * any order. As in qcow2, a payload ends somewhere in the last sector that belongs to it.
 */
const CHAINED: DiskParser = {
  name: 'raw',
  summary: 'a toy',
  *parse(parsing) {
    let next = 0
    for (let guest = 0; guest < UNITS; guest++) {
      const record = yield { at: next, length: SECTOR, name: 'record' }
      const [host, sectors] = [record.u32(4), record.u32(8)]
      const end = Math.min((Math.floor(host / SECTOR) + sectors) * SECTOR, parsing.fileSize ?? 1e9)
      parsing.announce({
        kind: 'deflate',
        guest: guest * UNIT,
        length: UNIT,
        host,
        hostLength: end - host,
      })
      next = record.u32(0)
    }
    return { virtualSize: UNITS * UNIT }
  },
}

/** Some shrink to a few bytes, others hardly: a sector holds the ends of one, two or many. */
function unitOf(index: number): Buffer {
  const noise = createHash('shake256', { outputLength: (index % 4) * 600 })
    .update(String(index))
    .digest()
  return Buffer.concat([noise, Buffer.alloc(UNIT - noise.length, index)])
}

/** A file of this format: unit n is a payload, -1 - n the record of it. */
function chainedFile(order: readonly number[]): Buffer {
  const parts: Buffer[] = []
  const places = new Map<number, { at: number; length: number }>()
  let end = 0
  const add = (item: number, bytes: Buffer) => {
    places.set(item, { at: end, length: bytes.length })
    parts.push(bytes)
    end += bytes.length
  }
  const pad = () => add(NaN, Buffer.alloc((SECTOR - (end % SECTOR)) % SECTOR))
  const record = (item: number) => {
    pad()
    add(item, Buffer.alloc(SECTOR))
  }
  record(-1)
  for (const item of order)
    if (item < 0) record(item)
    else add(item, deflateRawSync(unitOf(item), { windowBits: 12 }))
  const file = Buffer.concat(parts)
  for (let unit = 0; unit < UNITS; unit++) {
    const own = places.get(-1 - unit)?.at ?? 0
    const { at, length } = places.get(unit) ?? { at: 0, length: 0 }
    file.writeUInt32LE(places.get(-2 - unit)?.at ?? 0, own)
    file.writeUInt32LE(at, own + 4)
    const sectors = Math.floor((at + length - 1) / SECTOR) - Math.floor(at / SECTOR) + 1
    file.writeUInt32LE(sectors, own + 8)
  }
  return file
}

it('compressed clusters that share sectors come out of a stream as out of a file, whichever table comes first', async () => {
  const items = Array.from({ length: UNITS }, (_, unit) => [unit, -1 - unit])
    .flat()
    .filter((item) => item !== -1) // the first record stands at the head
  const orders = fc.shuffledSubarray(items, { minLength: items.length })
  // unit 2 has passed, whole, when the payload of unit 1 has begun
  const first = [-3, 2, -2, 1]
  const passedBeside = [...first, ...items.filter((item) => !first.includes(item))]
  const expected = Buffer.concat(Array.from({ length: UNITS }, (_, unit) => unitOf(unit)))
  await fc.assert(
    fc.asyncProperty(orders, fc.constantFrom(33, 700, 4096, 1e6), async (order, cut) => {
      const file = chainedFile(order)
      const random = await openDisk(memorySource(file), CHAINED)
      assert.ok(expected.equals(Buffer.from(await random.read(0, random.size))), 'by file')
      const disk = Buffer.alloc(expected.length)
      await using parse = new StreamParse(CHAINED, {
        limits: DEFAULT_LIMITS,
        spool: { directory: path(''), limit: 2 ** 30, newId: () => 'x' },
        sink: { write: (guest, bytes) => disk.set(bytes, guest) },
      })
      for (let at = 0; at < file.length; at += cut)
        await parse.push(Buffer.from(file.subarray(at, at + cut)))
      const { findings, safe } = await parse.end()
      assert.ok(safe, JSON.stringify(findings))
      assert.ok(expected.equals(disk), 'by stream')
    }),
    { numRuns: 100, examples: [[passedBeside, 4096]] },
  )
})

it('remembers the sectors in which payloads begin and end, as many as it may', () => {
  const payloads = new PassedPayloads(4)
  const bytes = Buffer.from(Uint16Array.from({ length: 4096 }, (_, index) => index).buffer)
  const pass = (host: number, length: number) =>
    payloads.add({ host, bytes: bytes.subarray(host, host + length) })
  pass(100, 1436)
  pass(1536, 1000)
  assert.deepEqual(payloads.read(100), bytes.subarray(100, 512))
  assert.deepEqual(payloads.read(1200), bytes.subarray(1200, 1536))
  assert.equal(payloads.read(600), undefined)
  assert.deepEqual(payloads.read(1600), bytes.subarray(1600, 2536)) // the last one, whole
  assert.equal(payloads.forgotten, false)
  pass(4096, 512)
  assert.equal(payloads.read(100), undefined)
  assert.deepEqual(payloads.read(1200), bytes.subarray(1200, 1536))
  assert.equal(payloads.forgotten, true)
})
