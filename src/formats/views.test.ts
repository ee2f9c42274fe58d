import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { GiB, KiB, MiB, SECTOR, TiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { mapOf } from '../testing/disk-map-of.ts'
import { failsWith } from '../testing/fails-with.ts'
import { bytesOf, numberedDisk } from '../testing/view-bytes.ts'
import { DiskMap, UNIT } from './disk-map.ts'
import { makeView, VIEW_FORMATS, viewFormatOf, viewFormatOfPath } from './views.ts'

/** Those that need no store of compressed clusters. */
const PLAIN = VIEW_FORMATS.filter(({ needs }) => needs === 'map').map(({ name }) => name)

/** Version and the start of the SHA-256 of one disk in each format. */
const PINNED = {
  'vhd-fixed': '1 b59f745d5643fff1',
  qcow2: '1 6d2fed435c8c1144',
  raw: '1 2f97bac474eb43ea',
  vdi: '1 c6f2c35f357910a8',
  vhd: '1 4959164fd8024efd',
  vhdx: '1 d8cbdc08d4e14420',
  vmdk: '1 79b89de01926890e',
}

const anyMap = fc
  .integer({ min: 1, max: (5 * MiB) / SECTOR })
  .chain((sectors) =>
    fc
      .uniqueArray(fc.nat(Math.ceil((sectors * SECTOR) / UNIT) - 1))
      .map((units) => mapOf(sectors * SECTOR, units)),
  )

describe('every view', () => {
  for (const format of PLAIN)
    it(`gives the same bytes by any range as at once, and each time: ${format}`, async () => {
      const parts = fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 3, maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(anyMap, parts, async (map, parts) => {
          const view = makeView(format, { map, identity: 'golden' })
          const origins = { disk: numberedDisk(map) }
          const whole = await bytesOf(view, origins)
          const again = makeView(format, { map, identity: 'golden' })
          assert.equal(again.etag, view.etag)
          assert.equal(Buffer.compare(await bytesOf(again, origins), whole), 0)
          for (const [seed, other] of parts) {
            const from = seed % (view.length + 1)
            const to = from + (other % (view.length - from + 1))
            const part = await bytesOf(view, origins, from, to)
            assert.equal(Buffer.compare(part, whole.subarray(from, to)), 0, `${from} to ${to}`)
          }
        }),
        { numRuns: 15 },
      )
    })

  it('copies nothing that the map says is zero, and nothing behind the end', async () => {
    const disk = numberedDisk(mapOf(MiB, [3]))
    await assert.rejects(disk.read(0, 1))
    await assert.rejects(disk.read(MiB, 1))
  })

  it('has an ETag that tells content, map and format apart, quoted', () => {
    const etags = PLAIN.flatMap((format) =>
      [
        { map: mapOf(MiB, [1]), identity: 'a' },
        { map: mapOf(MiB, [1]), identity: 'b' },
        { map: mapOf(MiB, [2]), identity: 'a' },
        { map: mapOf(MiB + SECTOR, [1]), identity: 'a' },
      ].map((input) => makeView(format, input).etag),
    )
    assert.equal(new Set(etags).size, 4 * PLAIN.length)
    for (const etag of etags) assert.match(etag, /^"[0-9a-f]{32}"$/)
  })

  it('is pinned: other bytes need another version, and a new line here', async () => {
    const map = mapOf(40 * MiB + SECTOR, [0, 1, 7, 300, 640])
    const found: Record<string, string> = {}
    for (const { name, version } of VIEW_FORMATS) {
      if (!PLAIN.includes(name)) continue
      const view = makeView(name, { map, identity: 'golden' })
      const bytes = await bytesOf(view, { disk: numberedDisk(map) })
      found[name] = `${version} ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`
    }
    assert.deepEqual(found, PINNED)
  })

  it('writes other ids for other content, of which only the header knows', async () => {
    const map = mapOf(MiB, [1])
    const origins = { disk: numberedDisk(map) }
    for (const format of ['vhd', 'vhd-fixed', 'vhdx', 'vdi', 'vmdk']) {
      const bodies = ['a', 'b'].map((identity) =>
        bytesOf(makeView(format, { map, identity }), origins),
      )
      const [one, other] = await Promise.all(bodies)
      assert.notEqual(Buffer.compare(one!, other!), 0, format)
    }
  })

  it('gives no bytes that it does not have', () => {
    const view = makeView('qcow2', { map: mapOf(MiB, [1]), identity: 'x' })
    for (const [from, to] of [
      [-1, 5],
      [0, view.length + 1],
      [7, 6],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const)
      assert.throws(() => view.pieces(from, to), RangeError)
    assert.deepEqual([...view.pieces(5, 5)], [])
    assert.deepEqual([...view.pieces(view.length, view.length)], [])
  })
})

describe('the raw view', () => {
  it('is the disk itself', async () => {
    await fc.assert(
      fc.asyncProperty(anyMap, async (map) => {
        const disk: Source = numberedDisk(map)
        const whole = await bytesOf(makeView('raw', { map, identity: '' }), { disk })
        assert.equal(whole.length, map.size)
        for (let offset = 0; offset < map.size; offset += UNIT) {
          const length = Math.min(UNIT, map.size - offset)
          const wanted = map.has(offset / UNIT)
            ? await disk.read(offset, length)
            : Buffer.alloc(length)
          assert.equal(Buffer.compare(whole.subarray(offset, offset + length), wanted), 0)
        }
      }),
      { numRuns: 15 },
    )
  })
})

describe('a format', () => {
  it('is known by name and by ending, whatever the case', () => {
    for (const { name, endings } of VIEW_FORMATS) {
      assert.equal(viewFormatOf(name.toUpperCase()).name, name)
      for (const ending of endings)
        assert.ok(viewFormatOf(`.${ending}`).endings.includes(ending), ending)
    }
    assert.equal(viewFormatOf('img').name, 'raw')
    assert.equal(viewFormatOf('.vhd').name, 'vhd')
  })

  it('is told by the longest ending of a file name', () => {
    assert.equal(viewFormatOfPath('/a.vdi/debian-13.1.QCOW2')?.name, 'qcow2')
    assert.equal(viewFormatOfPath('disk.vmdk')?.name, 'vmdk')
    for (const path of ['qcow2', '/some.qcow2/disk', 'disk.qcow2.bak', 'disk.', ''])
      assert.equal(viewFormatOfPath(path), undefined, path)
  })

  it('that nobody knows is refused, with the closest name', () => {
    assert.throws(() => viewFormatOf('qcow'), failsWith('FORMAT_UNKNOWN'))
    assert.throws(() => viewFormatOf('vhd-fxied'), { fix: 'Did you mean vhd-fixed?' })
    assert.throws(() => viewFormatOf('floppy'), failsWith('FORMAT_UNKNOWN'))
    assert.throws(
      () => makeView('floppy', { map: mapOf(MiB, []), identity: '' }),
      failsWith('FORMAT_UNKNOWN'),
    )
  })

  it('has a name, endings and a media type of its own', () => {
    const names = VIEW_FORMATS.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    for (const { endings, mediaType, summary } of VIEW_FORMATS) {
      assert.ok(endings.length > 0 && summary.length > 0)
      assert.match(mediaType, /^application\/[\w.+-]+$/)
    }
  })
})

const make = (format: string, size: number) => () =>
  makeView(format, { map: mapOf(size, []), identity: '' })

describe('a disk that does not fit', () => {
  const impossible = failsWith('VIEW_IMPOSSIBLE')
  it('is refused when it is not whole sectors, or has none', () => {
    for (const format of PLAIN) {
      assert.throws(make(format, 1000), impossible)
      assert.throws(make(format, 0), impossible)
    }
  })

  it('is refused when it is larger than the format holds', () => {
    assert.ok(make('vhd', 2040 * GiB)().length > 0)
    assert.throws(make('vhd', 2040 * GiB + SECTOR), impossible)
  })

  it('is refused when a VMDK could not name all its sectors', () => {
    const map = new DiskMap(2 * TiB, new Uint32Array(2 ** 20).fill(0xffffffff))
    assert.throws(() => makeView('vmdk', { map, identity: '' }), impossible)
  })

  it('is a fault of the caller when its map has other units', () => {
    const map = mapOf(MiB, [1]).coarser(128 * KiB)
    assert.throws(() => makeView('raw', { map, identity: '' }), RangeError)
  })
})
