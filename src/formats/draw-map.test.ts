import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DOMParser } from '@xmldom/xmldom'
import { assert as check, integer, nat, property, uint8Array } from 'fast-check'
import { MiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import { drawSvg, drawText } from './draw-map.ts'
import { dataIn, type DiskLayout, plainText, readLayout } from './read-layout.ts'

/** 16 MiB: data in the first and the last quarter, two partitions, one of them tiny. */
function layoutOf(label = 'root'): DiskLayout {
  const builder = new DiskMapBuilder()
  builder.add(0, 64)
  builder.add(192, 256)
  const map = builder.toMap(16 * MiB)
  const part = (number: number, offset: number, length: number) => ({
    kind: 'partition' as const,
    number,
    offset,
    length,
    data: dataIn(map, offset, offset + length),
    type: 'ext4',
    label,
  })
  const parts = [part(1, MiB, 10 * MiB), part(2, 15 * MiB, UNIT)]
  return { map, table: 'gpt', parts, notes: [] }
}

/** The disk shaded, in 34 columns. */
function bar(builder: DiskMapBuilder): string | undefined {
  const map = builder.toMap(32_000 * UNIT)
  return drawText({ map, table: 'none', parts: [], notes: [] }, 34).split('\n')[1]
}

describe('a disk drawn as text', () => {
  it('shows where data is and where partitions lie', () => {
    assert.equal(
      drawText(layoutOf(), 42),
      [
        ' 0                   8.0 MiB      16.0 MiB',
        '│██████████                    ██████████│',
        '   ╰1 ext4 root─────────────╯         ╵',
      ].join('\n'),
    )
  })

  it('shows the least data, and the least hole', () => {
    const [some, none] = [new DiskMapBuilder(), new DiskMapBuilder()]
    some.add(1000)
    none.add(0, 32_000)
    none.remove(1000)
    assert.equal(bar(some), `│ ░${' '.repeat(30)}│`)
    assert.equal(bar(none), `│█▓${'█'.repeat(30)}│`)
  })

  it('fits every width, for every disk', () => {
    check(
      property(
        uint8Array({ minLength: 4, maxLength: 64 }),
        integer({ min: 1, max: 300 }),
        (bits, columns) => {
          const words = new Uint32Array(Math.floor(bits.length / 4)).map((_, at) => bits[at] ?? 0)
          const map = new DiskMap(words.length * 32 * UNIT - 512, words)
          const lines = drawText({ ...layoutOf(), map }, columns).split('\n')
          for (const line of lines)
            assert.ok(line.length <= Math.max(columns, 22), `${line.length}`)
        },
      ),
    )
  })
})

describe('a disk drawn as a picture', () => {
  it('is SVG that says in words what it shows', () => {
    const svg = new DOMParser().parseFromString(
      drawSvg(layoutOf('a & b <c>'), 'x"<y>'),
      'image/svg+xml',
    )
    const text = (tag: string) => svg.getElementsByTagName(tag)[0]?.textContent ?? ''
    assert.equal(text('title'), 'x"<y>: what stands where on the disk')
    assert.match(
      text('desc'),
      /^8.0 MiB of 16.0 MiB hold data. Partition 1 ext4 a & b <c>: 10.0 MiB from 1.0 MiB, 30 % data/,
    )
    assert.equal(svg.documentElement?.getAttribute('aria-labelledby'), 'title desc')
  })

  it('stays small however fragmented the disk is', () => {
    const words = new Uint32Array(2 ** 20).fill(0x55555555).map((word, at) => (at % 3 ? word : 0))
    const map = new DiskMap(2 ** 25 * UNIT, words)
    assert.ok(drawSvg({ map, table: 'none', parts: [], notes: [] }, 'disk').length < 200_000)
  })
})

describe('the data of a part', () => {
  it('is that of its units, cut at its borders', () => {
    const size = 100 * UNIT - 512
    check(
      property(
        uint8Array({ minLength: 13, maxLength: 13 }),
        nat({ max: size }),
        nat({ max: size }),
        (bits, a, b) => {
          const builder = new DiskMapBuilder()
          for (let unit = 0; unit < 100; unit++)
            if ((bits[unit >> 3]! >> (unit & 7)) & 1) builder.add(unit)
          const map = builder.toMap(size)
          const [from, to] = [Math.min(a, b), Math.max(a, b)]
          let expected = 0
          for (const { offset, length } of map.extents())
            expected += Math.max(Math.min(offset + length, to) - Math.max(offset, from), 0)
          assert.equal(dataIn(map, from, to), expected)
        },
      ),
    )
  })
})

describe('the layout of a disk', () => {
  it('of one without partitions is one part', async () => {
    const map = new DiskMap(MiB, Uint32Array.of(1))
    const { table, parts } = await readLayout(memorySource(Buffer.alloc(MiB)), map)
    assert.equal(table, 'none')
    assert.deepEqual(parts, [
      { kind: 'whole', offset: 0, length: MiB, data: UNIT, type: '', label: '' },
    ])
  })

  it('tells of a damaged table instead of giving up', async () => {
    const disk = Buffer.alloc(MiB)
    disk.writeUInt16LE(0xaa55, 510)
    disk[450] = 0x83
    disk.writeUInt32LE(5000, 454) // behind the end
    disk.writeUInt32LE(9, 458)
    const map = new DiskMap(MiB, Uint32Array.of(1))
    const { table, parts, notes } = await readLayout(memorySource(disk), map)
    assert.equal(table, 'damaged')
    assert.deepEqual([parts.length, notes.length], [1, 1])
  })

  it('holds no name that moves a cursor', () => {
    assert.equal(plainText('\u001b[2Jroot\n\u202e'), '\u{FFFD}[2Jroot\u{FFFD}\u{FFFD}')
  })
})
