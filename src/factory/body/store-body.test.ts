import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import { parseDiskMap } from '../../formats/disk-map.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { bodyRecord, openTestBodies } from '../../testing/test-bodies.ts'
import { openBody } from './open-body.ts'
import { readDigest } from './_body-digest.ts'
import { fillBody, removeBody, storeBody } from './store-body.ts'

const at = await tempDir()
const bodies = await openTestBodies()
after(() => bodies[Symbol.asyncDispose]())
const { catalog, images, ledger, content, context } = bodies
const { signal } = context
const SIZE = 8 * MiB

/** A sparse disk: something at two places, holes between. */
async function makeDisk(name: string): Promise<string> {
  await using file = await open(at(name), 'w')
  await file.write(Buffer.alloc(70 * KiB, 'one'), 0, 70 * KiB, MiB)
  await file.write(Buffer.alloc(512, 'end'), 0, 512, SIZE - 512)
  await file.truncate(SIZE)
  return at(name)
}

const newId = () => context.newId()
const disk = await makeDisk('disk.raw')
const bytes = await readFile(disk)
const digestOf = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')

describe('a body', () => {
  for (const format of ['raw', 'qcow2'] as const)
    it(`is a raw image of the catalog, with its digests and its map: ${format}`, async () => {
      const path = format === 'raw' ? disk : at('disk.qcow2')
      if (format !== 'raw')
        await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, disk, path])
      const imageId = newId()
      const told: number[] = []
      const image = await storeBody(bodies, {
        ...bodyRecord(imageId),
        path,
        format,
        tell: (fraction) => void told.push(fraction),
      })
      const { id, status, diskFormat, size, virtualSize, owner, visibility, name } = image
      assert.deepEqual(
        { id, status, diskFormat, size, virtualSize, owner, visibility, name },
        {
          id: imageId,
          status: 'active',
          diskFormat: 'raw',
          size: SIZE,
          virtualSize: SIZE,
          owner: 'p-alice',
          visibility: 'private',
          name: 'sample',
        },
      )
      assert.equal(image.checksum, digestOf('md5'))
      assert.equal(image.hashValue, digestOf('sha512'))
      const map = await catalog.readAttachment(imageId, 'map')
      const extents = [...parseDiskMap(map ?? Buffer.alloc(0), 'map').extents()]
      assert.deepEqual(extents, [
        { offset: MiB, length: 128 * KiB },
        { offset: SIZE - 64 * KiB, length: 64 * KiB },
      ])
      assert.equal(told.at(-1), 1)
      await using body = await openBody(bodies, imageId, signal)
      assert.equal(Buffer.compare(await body.source.read(0, SIZE), bytes), 0)
    })

  it('has a SHA-256 that was computed while it came in', async () => {
    const imageId = newId()
    await storeBody(bodies, { ...bodyRecord(imageId), path: disk, format: 'raw' })
    await using body = await openBody(bodies, imageId, signal)
    const unread = { ...body, source: { ...body.source, read: () => assert.fail('it was read') } }
    assert.equal(await readDigest(bodies, unread, signal), digestOf('sha256'))
  })

  it('has a SHA-256 that is computed once if nobody did', async () => {
    const imageId = newId()
    const chunks = (async function* () {
      yield bytes
    })()
    await fillBody(bodies, bodyRecord(imageId), { stream: chunks, size: SIZE })
    await using body = await openBody(bodies, imageId, signal)
    assert.equal(await readDigest(bodies, body, signal), digestOf('sha256'))
    const kept = await catalog.readAttachment(imageId, 'sha256')
    assert.equal(Buffer.from(kept ?? '').toString(), digestOf('sha256'))
  })

  it('is in every format of the image service', async () => {
    const imageId = newId()
    const image = await storeBody(bodies, { ...bodyRecord(imageId), path: disk, format: 'raw' })
    const names = (await content.formats(image)).map(({ name }) => name)
    assert.ok(
      ['raw', 'qcow2', 'vhd-fixed', 'vmdk-stream', 'ova'].every((one) => names.includes(one)),
    )
  })

  it('takes the place of what an earlier attempt left, finished or not', async () => {
    const imageId = newId()
    const order = { ...bodyRecord(imageId), path: disk, format: 'raw' as const }
    const first = await storeBody(bodies, order)
    const second = await storeBody(bodies, { ...order, name: 'again' })
    assert.equal(second.name, 'again')
    assert.notEqual(second.locations[0]?.key, first.locations[0]?.key)
    await removeBody(bodies, imageId, signal)
    await removeBody(bodies, imageId, signal)
    assert.equal(await catalog.get(imageId), undefined)
  })

  it('leaves nothing when it does not fit, cannot be read, or is interrupted', async () => {
    await using small = await openTestBodies({ config: { image: { max_size: MiB } } })
    const order = { path: disk, format: 'raw' as const }
    const tooLarge = bodyRecord(newId())
    await assert.rejects(storeBody(small, { ...tooLarge, ...order }), failsWith('LIMIT_EXCEEDED'))
    assert.equal(await small.catalog.get(tooLarge.imageId), undefined)

    const missing = { ...bodyRecord(newId()), ...order, path: at('nothing') }
    await assert.rejects(storeBody(bodies, missing), failsWith('IMAGE_NOT_FOUND'))
    assert.equal(await catalog.get(missing.imageId), undefined)

    const stopped = { ...bodyRecord(newId()), ...order, signal: AbortSignal.abort() }
    await assert.rejects(storeBody(bodies, stopped), failsWith('INTERRUPTED'))
    assert.equal(await catalog.get(stopped.imageId), undefined)
    assert.equal(await ledger.holderOf(stopped.imageId), undefined)
  })

  it('is removed at once, whatever delay images have', async () => {
    await using slow = await openTestBodies({ config: { image: { delayed_delete_s: 3600 } } })
    const imageId = newId()
    await storeBody(slow, { ...bodyRecord(imageId), path: disk, format: 'raw' })
    await slow.images.delete(imageId)
    assert.equal((await slow.catalog.get(imageId))?.status, 'pending_delete')
    await assert.rejects(openBody(slow, imageId, signal), failsWith('IMAGE_NOT_FOUND'))
    await storeBody(slow, { ...bodyRecord(imageId), path: disk, format: 'raw' })
    await removeBody(slow, imageId, signal)
    assert.equal(await slow.catalog.get(imageId), undefined)
  })

  it('is not removed while it is protected', async () => {
    const imageId = newId()
    await storeBody(bodies, { ...bodyRecord(imageId), path: disk, format: 'raw' })
    await images.change(imageId, () => ({ protected: true }))
    await assert.rejects(removeBody(bodies, imageId, signal), failsWith('IMAGE_PROTECTED'))
  })
})
