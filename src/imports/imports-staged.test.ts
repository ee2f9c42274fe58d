import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { openStaged } from '../images/staged.ts'
import { failsWith } from '../testing/fails-with.ts'
import { type ImportBench, importOf, type ImportServer, uploadOf } from '../testing/import-bench.ts'
import { assertUnlocked, DISK, importBenches, importInto, sha512 } from '../testing/import-scene.ts'
import { qemuImages } from '../testing/qemu-images.ts'

const openBench = await importBenches()

async function stage(bench: ImportBench, one: ImportServer, content: Uint8Array = DISK) {
  const { id } = await bench.image()
  const staged = await one.uploads.stage(uploadOf(id, content))
  assert.equal(staged.status, 'uploading')
  return id
}

describe('staged data', () => {
  const direct = { method: 'glance-direct' }

  it('becomes the image where it stands: nothing is written again', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const id = await stage(bench, one)
    const before = await bench.keys('a')
    bench.hook('a', async (what) => assert.ok(what === 'open', what))
    const { image, task } = await importInto(one, id, direct)
    assert.deepEqual([task.status, image.status], ['success', 'active'])
    assert.deepEqual(await bench.keys('a'), before)
    assert.deepEqual([image.size, image.hashValue], [DISK.length, sha512(DISK)])
    assert.ok((await bench.content(image, 'a')).equals(DISK))
    const { staged } = await one.catalog.usage('p1')
    assert.equal(staged, 0)
  })

  it('is copied to other stores, and removed where it is not wanted', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const id = await stage(bench, one)
    const { image } = await importInto(one, id, { ...direct, stores: ['b', 'c'] })
    assert.deepEqual(image.locations.map(({ store }) => store).toSorted(), ['b', 'c'])
    for (const store of ['b', 'c']) assert.ok((await bench.content(image, store)).equals(DISK))
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('is gone when its import failed, and the image is queued', async () => {
    await using bench = await openBench({ room: { b: MiB } })
    const one = await bench.server()
    const id = await stage(bench, one)
    const { image, task } = await importInto(one, id, {
      ...direct,
      allStores: true,
      stores: [],
    })
    assert.deepEqual([image.status, task.status], ['queued', 'failure'])
    assert.match(task.message, /b/)
    await one.drain()
    for (const store of ['a', 'b', 'c']) assert.deepEqual(await bench.keys(store), [], store)
    await one.uploads.stage(uploadOf(id, DISK))
    const again = await importInto(one, id, direct)
    assert.equal(again.image.status, 'active')
  })

  it('that was refused fails its import with the reason, and the image can be staged anew', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image({ diskFormat: 'qcow2' })
    const staged = await one.uploads.stage(uploadOf(id, DISK))
    assert.equal(staged.status, 'uploading')
    assert.equal((await one.catalog.usage('p1')).staged, 0)
    const { image, task } = await importInto(one, id, direct)
    assert.deepEqual([image.status, image.size, task.status], ['queued', null, 'failure'])
    assert.match(task.message, /is said to be qcow2|not qcow2/)
    assert.equal(await openStaged(one.catalog).find(id), undefined)
    for (const store of ['a', 'b', 'c']) assert.deepEqual(await bench.keys(store), [], store)
    const made = await qemuImages('qcow2', DISK)
    await one.uploads.stage(uploadOf(id, await readFile(await made.converted())))
    const again = await importInto(one, id, direct)
    assert.deepEqual([again.image.status, again.task.status], ['active', 'success'])
  })

  it('is active after the first store if not all must succeed, and says which failed', async () => {
    await using bench = await openBench({ import: { parallel_stores: 1 } })
    const one = await bench.server()
    const id = await stage(bench, one)
    const seen: (string | undefined)[] = []
    bench.hook('b', async (what) => {
      if (what === 'remove') return
      const now = await one.catalog.get(id)
      seen.push(now?.status, now?.properties['os_glance_importing_to_stores'])
      throw new Failure('STORE_AWAY', 'store b is away')
    })
    const { image, task } = await importInto(one, id, {
      ...direct,
      allStores: true,
      stores: [],
      allMustSucceed: false,
    })
    assert.deepEqual(seen, ['active', 'b,c'])
    assert.equal(task.status, 'success')
    assert.deepEqual(
      image.locations.map(({ store }) => store),
      ['a', 'c'],
    )
    assert.equal(image.properties['os_glance_failed_import'], 'b')
    assertUnlocked(image)
    await one.drain()
    assert.deepEqual(await bench.keys('b'), [])
  })
})

describe('a copy to further stores', () => {
  const copy = { method: 'copy-image', stores: ['b'] }

  it('leaves the image active throughout, and adds what is whole', async () => {
    await using bench = await openBench()
    const { id } = await bench.active(DISK)
    const one = await bench.server()
    const { image, during, task } = await importInto(one, id, copy)
    assert.deepEqual([during.status, image.status, task.status], ['active', 'active', 'success'])
    assert.ok((await bench.content(image, 'b')).equals(DISK))
    const { owner, properties } = image
    assert.deepEqual([owner, Object.keys(properties).length], ['p1', 2])
  })

  it('that fails leaves the image as it was', async () => {
    await using bench = await openBench()
    const before = await bench.active(DISK)
    const one = await bench.server()
    bench.hook('c', async () => {
      throw new Failure('STORE_AWAY', 'store c is away')
    })
    const { image, task } = await importInto(one, before.id, { ...copy, stores: ['b', 'c'] })
    assert.deepEqual(
      [image.status, task.status, task.message],
      ['active', 'failure', 'store c is away'],
    )
    assert.deepEqual(image.locations, before.locations)
    assert.deepEqual([image.size, image.hashValue], [before.size, before.hashValue])
    bench.hook('c', undefined)
    await one.drain()
    assert.deepEqual(await bench.keys('b'), [])
  })

  it('finds out when what it reads is not what was hashed', async () => {
    await using bench = await openBench()
    const { id } = await bench.active(DISK)
    const one = await bench.server()
    await one.node.database.write(
      async (tx) => await one.catalog.update(tx, id, { hashValue: 'ab'.repeat(64) }),
    )
    const { image, task } = await importInto(one, id, copy)
    assert.match(task.message, /digest/)
    assert.equal(image.locations.length, 1)
  })

  it('leaves out the stores that have the data, and refuses one that was named', async () => {
    await using bench = await openBench()
    const image = await bench.active(DISK)
    const one = await bench.server()
    const named = importOf({ ...copy, stores: ['a'] })
    await assert.rejects(one.imports.begin(image, named), failsWith('REQUEST_INVALID'))
    const all = await importInto(one, image.id, { ...copy, stores: [], allStores: true })
    assert.deepEqual(all.image.locations.map(({ store }) => store).toSorted(), ['a', 'b', 'c'])
    const again = importOf({ ...copy, stores: [], allStores: true })
    assert.equal(await one.imports.begin(all.image, again), undefined)
  })
})
