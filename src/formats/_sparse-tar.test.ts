import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { GiB, SECTOR, TiB } from '../base/units.ts'
import { PART_BLOCKS, sparseTarHead } from './_sparse-tar.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'

const numberAt = (block: Buffer, at: number) =>
  block[at] === 0x80
    ? Number(block.readBigUInt64BE(at + 4))
    : Number.parseInt(block.toString('latin1', at, at + 11), 8)

/** The list as a reader walks through it. */
function* entriesOf(head: Buffer) {
  for (let block = 0, more = true; more; block++) {
    const bytes = head.subarray(block * SECTOR, (block + 1) * SECTOR)
    const [list, flag] =
      block === 0 ? [bytes.subarray(386, 482), 482] : [bytes.subarray(0, 504), 504]
    for (let at = 0; at < list.length && list[at] !== 0; at += 24)
      yield { offset: numberAt(list, at), length: numberAt(list, at + 12) }
    more = bytes[flag] === 1
    assert.equal(head.length > (block + 1) * SECTOR, more, 'the flag is true')
  }
}

function check(map: DiskMap, realSize: number): void {
  const head = sparseTarHead(map, 'disk.raw', realSize)
  const parts = Array.from({ length: Math.ceil(head.blocks / PART_BLOCKS) }, (_, n) => head.part(n))
  const bytes = Buffer.concat(parts)
  assert.equal(bytes.length, head.blocks * SECTOR)
  assert.equal(numberAt(bytes, 124), map.dataUnits * UNIT)
  assert.equal(numberAt(bytes, 483), realSize)
  const wanted = [...map.extents(), { offset: realSize, length: 0 }]
  assert.deepEqual([...entriesOf(bytes)], wanted)
}

it('lists every run of data and then the end, in as many blocks as it takes', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(16_383), { maxLength: 200 }), (units) => {
      const builder = new DiskMapBuilder()
      for (const unit of units) builder.add(unit)
      check(builder.toMap(GiB), GiB)
    }),
  )
})

it('lists thousands of runs, and places behind 8 GiB', () => {
  const builder = new DiskMapBuilder()
  for (let unit = 1; unit < 8192; unit += 2) builder.add(unit)
  for (let unit = (9 * GiB) / UNIT; unit < (9 * GiB) / UNIT + 7; unit += 2) builder.add(unit)
  builder.add((2 * TiB) / UNIT - 1)
  check(builder.toMap(2 * TiB), 2 * TiB)
})

it('goes on in a new part wherever the list does', () => {
  const perPart = 4 + 63 * 21
  for (const runs of [3, 4, 5, 24, 25, perPart - 1, perPart, perPart + 1, perPart + 1344]) {
    const builder = new DiskMapBuilder()
    for (let run = 0; run < runs; run++) builder.add(run * 2)
    check(builder.toMap(GiB), GiB)
  }
})
