import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { KiB, SECTOR } from '../base/units.ts'
import { type Content, lengthOf } from '../bytes/piece.ts'
import { mapOf } from '../testing/disk-map-of.ts'
import { bytesOf, numberedDisk } from '../testing/view-bytes.ts'
import {
  blocksContent,
  bytesContent,
  contentInParts,
  diskContent,
  forDataUnits,
  joinedContent,
  tableContent,
  zerosContent,
} from './_segments.ts'
import { UNIT } from './disk-map.ts'

const letters = (text: string) => bytesContent(Buffer.from(text))
const textOf = async (content: Content, from?: number, to?: number) =>
  String(await bytesOf(content, {}, from, to))
const shapeOf = (content: Content, from = 0, to = content.length) =>
  [...content.pieces(from, to)].map((piece) => `${piece.kind} ${lengthOf(piece)}`)

describe('content that is joined', () => {
  const joined = joinedContent(letters('abc'), zerosContent(0), letters(''), letters('defg'))

  it('is one after the other, by any range', async () => {
    assert.equal(joined.length, 7)
    for (let from = 0; from <= 7; from++)
      for (let to = from; to <= 7; to++)
        assert.equal(await textOf(joined, from, to), 'abcdefg'.slice(from, to))
  })

  it('gives no empty pieces', () => {
    assert.deepEqual(shapeOf(joined, 3, 4), ['bytes 1'])
    assert.deepEqual(shapeOf(joined, 3, 3), [])
  })
})

describe('content in parts', () => {
  it('asks only for the parts that are wanted, and cuts the last', async () => {
    const asked: number[] = []
    const content = contentInParts(10, 4, (start) => {
      asked.push(start)
      return letters('abcd')
    })
    assert.equal(await textOf(content), 'abcdabcdab')
    assert.deepEqual(asked.splice(0), [0, 4, 8])
    assert.equal(await textOf(content, 5, 8), 'bcd')
    assert.deepEqual(asked, [4])
  })

  it('may be a table that is zeros where nothing is made', () => {
    const table = tableContent(130 * KiB, (start, size) =>
      start === 64 * KiB ? undefined : Buffer.alloc(size, 1),
    )
    assert.deepEqual(shapeOf(table), ['bytes 65536', 'zeros 65536', 'bytes 2048'])
  })
})

describe('the disk as content', () => {
  const map = mapOf(10 * UNIT + SECTOR, [0, 1, 4, 10])

  it('is copied in runs, holes as zeros, and zeros behind its end', () => {
    const expected = ['copy 131072', 'zeros 131072', 'copy 65536', 'zeros 327680', 'copy 512']
    assert.deepEqual(shapeOf(diskContent(map)), expected)
    const longer = diskContent(map, 0, 12 * UNIT)
    assert.deepEqual(shapeOf(longer), [...expected, 'zeros 130560'])
    assert.deepEqual(shapeOf(longer, 11 * UNIT, 12 * UNIT), ['zeros 65536'])
  })

  it('may be a part of it', () => {
    assert.deepEqual(
      [...diskContent(map, 4 * UNIT, 2 * UNIT).pieces(100, UNIT + 1)],
      [
        { kind: 'copy', of: 'disk', offset: 4 * UNIT + 100, length: UNIT - 100 },
        { kind: 'zeros', length: 1 },
      ],
    )
  })

  it('in blocks that hold data has runs over blocks, and zeros for the holes in them', () => {
    const large = mapOf(64 * UNIT, [3, 16, 17, 31, 32, 60])
    const blocks = large.coarser(16 * UNIT)
    assert.deepEqual(
      shapeOf(blocksContent(large, blocks)).map((shape) =>
        shape.replace(/\d+/, (n) => `${+n / UNIT}`),
      ),
      [
        'zeros 3',
        'copy 1',
        'zeros 12',
        'copy 2',
        'zeros 13',
        'copy 2',
        'zeros 27',
        'copy 1',
        'zeros 3',
      ],
    )
    assert.deepEqual(shapeOf(blocksContent(mapOf(UNIT, []), mapOf(UNIT, []))), [])
  })

  it('in blocks is what stands at the select-ed place', async () => {
    const units = fc.uniqueArray(fc.nat(79), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(units, fc.nat(), fc.nat(300 * KiB), async (units, seed, length) => {
        const map = mapOf(79 * UNIT + SECTOR, units)
        const blocks = map.coarser(4 * UNIT)
        const content = blocksContent(map, blocks)
        const from = seed % content.length
        const to = Math.min(from + length, content.length)
        const disk = numberedDisk(map)
        const found = await bytesOf(content, { disk }, from, to)
        const wanted = await bytesOf(
          contentInParts(content.length, blocks.unit, (start) =>
            diskContent(map, blocks.select(start / blocks.unit) * blocks.unit, blocks.unit),
          ),
          { disk },
          from,
          to,
        )
        assert.equal(Buffer.compare(found, wanted), 0)
      }),
      { numRuns: 50 },
    )
  })
})

it('data units are told with their rank, within bounds', () => {
  const map = mapOf(40 * UNIT, [0, 5, 6, 33, 39])
  const told = (first: number, end: number) => {
    const found: number[][] = []
    forDataUnits(map, first, end, (unit, rank) => found.push([unit, rank]))
    return found
  }
  assert.deepEqual(told(0, 40), [
    [0, 0],
    [5, 1],
    [6, 2],
    [33, 3],
    [39, 4],
  ])
  assert.deepEqual(told(6, 39), [
    [6, 2],
    [33, 3],
  ])
  assert.deepEqual(told(34, 1000), [[39, 4]])
  assert.deepEqual(told(7, 33), [])
  assert.deepEqual(told(40, 80), [])
})
