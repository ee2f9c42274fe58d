import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { KiB, MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import { UNIT } from '../../formats/disk-map.ts'
import { IMAGE_FORMATS, openImage } from '../../formats/open-image.ts'
import { VIEW_FORMATS } from '../../formats/views.ts'
import { mapOf } from '../../testing/disk-map-of.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { mixedDisk } from '../../testing/mixed-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { bodyRecord, openTestBodies } from '../../testing/test-bodies.ts'
import { bytesOf as viewBytes } from '../../testing/view-bytes.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import { streamFormatted } from '../stream-formatted.ts'
import { openMadeView } from './_made-view.ts'
import { openPushedDisk } from './open-pushed-disk.ts'
import { storeBody } from './store-body.ts'

const at = await tempDir()
const bodies = await openTestBodies()
after(() => bodies[Symbol.asyncDispose]())
const { signal } = bodies.context
const SIZE = 5 * MiB + 512
const golden = mixedDisk(mapOf(SIZE, [0, 1, 7, 8, 9, 40, 80]))
const bytes = Buffer.from(await golden.read(0, SIZE))
await writeFile(at('disk.raw'), bytes)
const imageId = bodies.context.newId()
const image = await storeBody(bodies, {
  ...bodyRecord(imageId),
  path: at('disk.raw'),
  format: 'raw',
})
const disk = await openPushedDisk(bodies, imageId, { name: 'debian-12', signal })
after(() => disk[Symbol.asyncDispose]())

const covers = ({ extents, size }: FormattedDisk, offset: number) =>
  (extents ?? [{ start: 0, end: size }]).some(({ start, end }) => start <= offset && offset < end)

describe('the disk that is pushed', () => {
  it('is the raw disk, with the map of its data and its SHA-256', async () => {
    assert.equal(disk.size, SIZE)
    assert.equal(Buffer.compare(await disk.source.read(0, SIZE), bytes), 0)
    for (const { offset, length } of disk.map.extents())
      assert.ok(offset % UNIT === 0 && length > 0)
    assert.equal(disk.map.dataUnits, 7)
    const expected = createHash('sha256').update(bytes).digest('hex')
    assert.equal(await disk.digest(), expected)
    assert.equal(await disk.digest(), expected)
  })

  for (const { name, endings, needs } of VIEW_FORMATS)
    it(`has by any range what the whole has there, and data only in its extents: ${name}`, async () => {
      const formatted = await disk.open(name)
      const whole = Buffer.concat(
        await Array.fromAsync(streamFormatted(formatted, signal), (chunk) => Buffer.from(chunk)),
      )
      await using made = await openMadeView(bodies.content, image, name, signal)
      assert.equal(Buffer.compare(whole, await viewBytes(made.view, made.origins)), 0)
      assert.equal(formatted.fileName, `debian-12.${endings[0]}`)
      assert.equal(whole.length, formatted.size)
      if (needs === 'map') assert.ok(formatted.extents)

      let last = -1
      for (const { start, end } of formatted.extents ?? []) {
        assert.ok(start > last && end > start && end <= formatted.size)
        last = end
      }
      for (let offset = 0; offset < whole.length; offset += 16)
        if (!covers(formatted, offset))
          assert.ok(
            whole.subarray(offset, offset + 1).every((byte) => byte === 0),
            `${offset}`,
          )

      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length), fc.nat(300 * KiB), async (from, length) => {
          const part = await formatted.read(from, Math.min(length, whole.length - from))
          const expected = whole.subarray(from, from + part.length)
          assert.equal(Buffer.compare(Buffer.from(part), expected), 0)
        }),
        { numRuns: 25 },
      )

      const readable = IMAGE_FORMATS.find((one) => name === one || name.startsWith(`${one}-`))
      if (readable === undefined || name.startsWith('raw-')) return
      const { disk: inside } = await openImage(memorySource(whole), { format: readable })
      const found = Buffer.from(await inside.read(0, SIZE))
      assert.equal(Buffer.compare(found, bytes), 0)
    })

  it('leaves out of a raw disk and of a fixed VHD what is zeros', async () => {
    for (const name of ['raw', 'vhd-fixed']) {
      const { extents } = await disk.open(name)
      const data = (extents ?? []).reduce((sum, { start, end }) => sum + end - start, 0)
      assert.ok(data <= 7 * UNIT + MiB, `${name}: ${data}`)
    }
  })

  it('refuses formats that there are not, and ranges behind the end', async () => {
    await assert.rejects(disk.open('floppy'), failsWith('FORMAT_UNKNOWN'))
    const raw = await disk.open('qcow2')
    await assert.rejects(raw.read(raw.size - 1, 2), failsWith('IMAGE_TRUNCATED'))
  })

  it('is read from the store by the kernel where the store is on this host', async () => {
    await using local = await openTestBodies({
      config: { stores: { default: 'file', list: [{ id: 'file', type: 'file' }] } },
    })
    await storeBody(local, { ...bodyRecord(imageId), path: at('disk.raw'), format: 'raw' })
    await using here = await openPushedDisk(local, imageId, { name: 'here', signal })
    assert.ok(here.source.file)
    const raw = await here.open('raw')
    assert.ok(raw.file)
    assert.equal(
      Buffer.compare(Buffer.from(await raw.read(0, SIZE)), await readFile(at('disk.raw'))),
      0,
    )
  })

  it('stops when the job does', async () => {
    const stream = streamFormatted(await disk.open('raw'), AbortSignal.abort())
    await assert.rejects(Array.fromAsync(stream), failsWith('INTERRUPTED'))
  })
})
