import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { KiB, MiB } from '../base/units.ts'
import { HEAD } from './_detect.ts'
import { KeptDisk, NotKept } from './_kept-disk.ts'

const TAIL = 64 * KiB
const SIZE = 1 * MiB
const disk = Buffer.from(Uint32Array.from({ length: SIZE / 4 }, (_, index) => index).buffer)

async function read(kept: KeptDisk, size: number, offset: number, length: number) {
  return Buffer.from(await kept.toSource('disk', size).read(offset, length))
}

it('both ends of a disk are kept, in whatever pieces it came', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: SIZE - 1 }), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(cuts, async (places) => {
      const kept = new KeptDisk()
      const borders = [0, ...places.toSorted((a, b) => a - b), SIZE]
      for (const [index, start] of borders.slice(0, -1).entries())
        kept.write(start, disk.subarray(start, borders[index + 1]))
      assert.ok((await read(kept, SIZE, 0, HEAD)).equals(disk.subarray(0, HEAD)))
      assert.ok((await read(kept, SIZE, SIZE - TAIL, TAIL)).equals(disk.subarray(-TAIL)))
      await assert.rejects(read(kept, SIZE, SIZE / 2, 1), NotKept)
    }),
    { numRuns: 30 },
  )
})

it('both ends are kept when the pieces come in any order', async () => {
  const order = fc.shuffledSubarray(
    Array.from({ length: SIZE / TAIL }, (_, index) => index * TAIL),
    { minLength: SIZE / TAIL },
  )
  await fc.assert(
    fc.asyncProperty(order, async (starts) => {
      const kept = new KeptDisk()
      for (const start of starts) kept.write(start, disk.subarray(start, start + TAIL))
      assert.ok((await read(kept, SIZE, 0, HEAD)).equals(disk.subarray(0, HEAD)))
      assert.ok((await read(kept, SIZE, SIZE - TAIL, TAIL)).equals(disk.subarray(-TAIL)))
    }),
    { numRuns: 30 },
  )
})

it('what lies behind everything that was written is zeros', async () => {
  const kept = new KeptDisk()
  kept.write(0, disk.subarray(0, 1000))
  const bytes = await read(kept, SIZE, 0, 2000)
  assert.ok(bytes.equals(Buffer.concat([disk.subarray(0, 1000), Buffer.alloc(1000)])))
  assert.ok((await read(kept, SIZE, SIZE - 512, 512)).equals(Buffer.alloc(512)))
})

it('the records that a partition table points to are kept, one after the other', async () => {
  const table = Buffer.alloc(SIZE)
  const record = (at: number, next: number) => {
    table.writeUInt16LE(0xaa55, at + 510)
    table.writeUInt8(0x05, at + 466)
    table.writeUInt32LE(next, at + 470)
  }
  table.writeUInt16LE(0xaa55, 510)
  table.writeUInt8(0x05, 450)
  table.writeUInt32LE(400, 454)
  record(400 * 512, 100)
  record(500 * 512, 7) // the next one lies before this one, and has passed
  for (const size of [1, 700, 64 * KiB, SIZE]) {
    const kept = new KeptDisk()
    for (let at = 0; at < SIZE; at += size) kept.write(at, table.subarray(at, at + size))
    for (const sector of [400, 500])
      assert.ok(
        (await read(kept, SIZE, sector * 512, 512)).equals(
          table.subarray(sector * 512, sector * 512 + 512),
        ),
      )
    await assert.rejects(read(kept, SIZE, 407 * 512, 512), NotKept)
  }
})
