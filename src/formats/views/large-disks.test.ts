/** Disks of terabytes with data all over: what a view is asked for costs no more than on a small disk. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GiB, KiB, MiB, SECTOR, TiB } from '../../base/units.ts'
import { type Content, lengthOf } from '../../bytes/piece.ts'
import { DiskMap, UNIT } from '../disk-map.ts'
import { makeView } from '../views.ts'

/** About half of all units, in short runs, and none of them in each fourth stretch of 128 MiB. */
function scatteredMap(size: number): DiskMap {
  const words = new Uint32Array(Math.ceil(size / UNIT / 32))
  let bits = 1
  for (let word = 0; word < words.length; word++) {
    bits = (Math.imul(bits, 1_664_525) + 1_013_904_223) >>> 0
    if (Math.floor(word / 64) % 4 !== 3) words[word] = bits ^ (bits >>> 13)
  }
  return new DiskMap(size, words)
}

const MAP = scatteredMap(2 * TiB - 3 * MiB - SECTOR)
/** VHD ends at 2,040 GiB. */
const VHD_MAP = scatteredMap(2040 * GiB)

/** Bytes of metadata; the range must hold nothing else. */
function tableBytes(view: Content, at: number, length: number): Buffer {
  const parts = [...view.pieces(at, at + length)].map((piece) => {
    assert.ok(piece.kind !== 'copy', `data at ${at}`)
    return piece.kind === 'bytes' ? piece.bytes : Buffer.alloc(piece.length)
  })
  return Buffer.concat(parts)
}

/** Where a format's tables say that a byte of the disk stands in the file; undefined for a hole. */
type Walk = (view: Content, offset: number) => number | undefined

const WALKS: Readonly<Record<string, Walk>> = {
  raw: (_, offset) => offset,
  qcow2: (view, offset) => {
    const l1 = Number(tableBytes(view, 40, 8).readBigUInt64BE())
    const entryAt = (at: number) =>
      Number(tableBytes(view, at, 8).readBigUInt64BE() & 0x00fffffffffffe00n)
    const l2 = entryAt(l1 + Math.floor(offset / (512 * MiB)) * 8)
    const cluster = l2 && entryAt(l2 + (Math.floor(offset / (64 * KiB)) % 8192) * 8)
    return cluster ? cluster + (offset % (64 * KiB)) : undefined
  },
  vhd: (view, offset) => {
    const entry = tableBytes(view, 1536 + Math.floor(offset / (2 * MiB)) * 4, 4).readUInt32BE()
    return entry === 0xffffffff ? undefined : (entry + 1) * SECTOR + (offset % (2 * MiB))
  },
  vhdx: (view, offset) => {
    const block = Math.floor(offset / MiB)
    const index = block + Math.floor(block / 4096)
    const entry = tableBytes(view, 3 * MiB + index * 8, 8).readBigUInt64LE()
    return (entry & 7n) === 6n ? Number(entry >> 20n) * MiB + (offset % MiB) : undefined
  },
  vdi: (view, offset) => {
    const entry = tableBytes(view, SECTOR + Math.floor(offset / MiB) * 4, 4).readUInt32LE()
    const data = tableBytes(view, 0x158, 4).readUInt32LE()
    return entry === 0xffffffff ? undefined : data + entry * MiB + (offset % MiB)
  },
  vmdk: (view, offset) => {
    const directory = Number(tableBytes(view, 56, 8).readBigUInt64LE()) * SECTOR
    const table = tableBytes(view, directory + Math.floor(offset / (32 * MiB)) * 4, 4)
    const at = table.readUInt32LE() * SECTOR + (Math.floor(offset / (64 * KiB)) % 512) * 4
    const grain = tableBytes(view, at, 4).readUInt32LE() * SECTOR
    return grain === 0 ? undefined : grain + (offset % (64 * KiB))
  },
}

for (const [format, walk] of Object.entries(WALKS))
  describe(`a ${format} of 2 TiB with data all over`, () => {
    const map = format === 'vhd' ? VHD_MAP : MAP
    const view = makeView(format, { map, identity: 'large' })

    it('leads to every unit of the disk', () => {
      const units = [0, 1, 8190, 8191, 65_535, 65_536, map.units - 1]
      for (let step = 0; step < 300; step++) units.push((step * 7_919_321) % map.units)
      let data = 0
      for (const unit of units) {
        const offset = unit * UNIT
        const length = Math.min(UNIT, map.size - offset)
        const at = walk(view, offset)
        const found = at === undefined ? [] : [...view.pieces(at, at + length)]
        if (map.has(unit))
          assert.deepEqual(found, [{ kind: 'copy', of: 'disk', offset, length }], `unit ${unit}`)
        else
          assert.ok(
            found.every(({ kind }) => kind === 'zeros'),
            `unit ${unit}`,
          )
        if (map.has(unit)) data++
      }
      assert.ok(data > 50)
    })

    it('tells any MiB of itself in a bounded number of small pieces', () => {
      const places = [0, view.length - MiB]
      for (let step = 1; step < 50; step++) places.push(Math.floor((view.length / 50) * step))
      for (const from of places) {
        const pieces = [...view.pieces(from, from + MiB)]
        assert.ok(pieces.length <= 40, `${pieces.length} pieces at ${from}`)
        assert.equal(
          pieces.reduce((sum, piece) => sum + lengthOf(piece), 0),
          MiB,
        )
        for (const piece of pieces)
          assert.ok(piece.kind !== 'bytes' || piece.bytes.length <= 64 * KiB)
      }
    })
  })
