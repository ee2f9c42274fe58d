import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { failsWith } from '../testing/fails-with.ts'
import { sampleLocation } from '../testing/sample-image.ts'
import { bareImage, listImages, NOON, openTestCatalog } from '../testing/test-catalog.ts'
import type { Catalog } from './catalog.ts'
import type { Image, Location, Member } from './image.ts'

const { kinds } = await openDatabaseKinds()

for (const { kind, skip, address } of kinds)
  describe(`the catalog in ${kind}`, { skip }, () => {
    let now = NOON
    const open = async () => await openTestCatalog(await address(), () => now)

    it('keeps every field of a record, and changes only what it is told to', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const image = bareImage({
        id: 'a',
        name: 'Grün 🐧',
        status: 'active',
        visibility: 'public',
        protected: true,
        hidden: true,
        checksum: 'c',
        hashAlgorithm: 'sha512',
        hashValue: 'h',
        owner: null,
        size: 2 ** 52,
        virtualSize: 2 ** 53 - 1,
        containerFormat: 'bare',
        diskFormat: 'raw',
        minRamMiB: 3,
        minDiskGiB: 4,
        createdAt: new Date(NOON.getTime() - 1),
        tags: ['b', 'a'],
        properties: { os: 'it\'s "quoted"', empty: '' },
      })
      const made = await database.write((tx) => catalog.insert(tx, image))
      assert.deepEqual(made, { ...image, tags: ['a', 'b'], locations: [], revision: made.revision })
      assert.deepEqual(await catalog.get('a'), made)
      now = new Date(NOON.getTime() + 5)
      const changed = await database.write((tx) =>
        catalog.update(tx, 'a', { name: null, tags: ['b', 'z'], properties: { os: 'x' } }),
      )
      assert.ok(changed.revision > made.revision)
      assert.deepEqual(changed, {
        ...made,
        name: null,
        tags: ['b', 'z'],
        properties: { os: 'x' },
        updatedAt: now,
        revision: changed.revision,
      })
      assert.deepEqual(await catalog.get('a'), changed)
      assert.equal(await catalog.get('b'), undefined)
    })

    it('gives the same object for a record that did not change', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a' })))
      const first = await catalog.get('a')
      assert.equal(await catalog.get('a'), first)
      assert.equal((await listImages(catalog, {}))[0], first)
      await database.write((tx) => catalog.update(tx, 'a', { name: 'new' }))
      assert.equal((await listImages(catalog, {}))[0]?.name, 'new')
    })

    it('remembers nothing of a transaction that was undone, nor of an image that was made again', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a', name: 'old' })))
      await assert.rejects(
        database.write(async (tx) => {
          await catalog.update(tx, 'a', { name: 'never' })
          assert.equal((await catalog.get('a', tx))?.name, 'never')
          throw new Error('undone')
        }),
        /undone/,
      )
      assert.equal((await catalog.get('a'))?.name, 'old')
      await database.write((tx) => catalog.update(tx, 'a', { name: 'next' }))
      assert.equal((await catalog.get('a'))?.name, 'next')
      await database.write((tx) => catalog.remove(tx, 'a'))
      await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a', name: 'again' })))
      assert.equal((await catalog.get('a'))?.name, 'again')
    })

    it('refuses what does not fit the record', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const { revision } = await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a' })))
      const update = (id: string, options: Parameters<Catalog['update']>[3]) =>
        database.write((tx) => catalog.update(tx, id, { status: 'saving' }, options))
      await assert.rejects(
        database.write((tx) => catalog.insert(tx, bareImage({ id: 'a' }))),
        failsWith('IMAGE_EXISTS'),
      )
      await assert.rejects(update('b', {}), failsWith('IMAGE_NOT_FOUND'))
      await assert.rejects(update('a', { from: ['active', 'saving'] }), failsWith('IMAGE_STATE'))
      await assert.rejects(update('a', { revision: revision - 1 }), failsWith('IMAGE_CHANGED'))
      assert.equal((await update('a', { from: ['queued'], revision })).status, 'saving')
    })

    it('lets one of many win who change a record from the same status', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a' })))
      const tries = await Promise.allSettled(
        Array.from({ length: 8 }, () =>
          database.write((tx) =>
            catalog.update(tx, 'a', { status: 'saving' }, { from: ['queued'] }),
          ),
        ),
      )
      assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    })

    it('keeps locations in order, and knows which objects are located', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const add = (id: string, location: Location) =>
        database.write((tx) => catalog.addLocation(tx, id, location))
      for (const id of ['a', 'b'])
        await database.write((tx) => catalog.insert(tx, bareImage({ id })))
      await add('a', sampleLocation('l1', 'k1'))
      const two = await add('a', sampleLocation('l2', 'k2'))
      await add('b', sampleLocation('l3', 'k2'))
      assert.deepEqual(two.locations, [sampleLocation('l1', 'k1'), sampleLocation('l2', 'k2')])
      assert.deepEqual((await catalog.get('a'))?.locations, two.locations)
      const remove = (locationId: string) =>
        database.write((tx) => catalog.removeLocation(tx, 'a', locationId))
      assert.deepEqual((await remove('l1')).locations, [sampleLocation('l2', 'k2')])
      await assert.rejects(remove('l1'), failsWith('LOCATION_NOT_FOUND'))
      assert.equal(await catalog.isLocated('file', 'k1'), false)
      await remove('l2')
      assert.equal(await catalog.isLocated('file', 'k2'), true)
      assert.equal(await catalog.isLocated('other', 'k2'), false)
      await database.write((tx) => catalog.remove(tx, 'b'))
      assert.equal(await catalog.isLocated('file', 'k2'), false)
    })

    it('keeps members', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write((tx) => catalog.insert(tx, bareImage({ id: 'a' })))
      const member: Member = {
        imageId: 'a',
        member: 'p2',
        status: 'pending',
        createdAt: NOON,
        updatedAt: NOON,
      }
      const add = () => database.write((tx) => catalog.addMember(tx, member))
      await add()
      await assert.rejects(add(), failsWith('MEMBER_EXISTS'))
      assert.deepEqual(await catalog.member('a', 'p2'), member)
      assert.equal(await catalog.member('a', 'p3'), undefined)
      now = new Date(NOON.getTime() + 7)
      const set = (who: string) =>
        database.write((tx) => catalog.setMember(tx, 'a', who, 'accepted'))
      const accepted = { ...member, status: 'accepted', updatedAt: now }
      assert.deepEqual(await set('p2'), accepted)
      assert.deepEqual(await catalog.members('a'), [accepted])
      await assert.rejects(set('p3'), failsWith('MEMBER_NOT_FOUND'))
      const remove = () => database.write((tx) => catalog.removeMember(tx, 'a', 'p2'))
      await remove()
      await assert.rejects(remove(), failsWith('MEMBER_NOT_FOUND'))
      assert.deepEqual(await catalog.members('a'), [])
    })

    it('leaves nothing of an image that was removed', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write(async (tx) => {
        await catalog.insert(tx, bareImage({ id: 'a', tags: ['t'], properties: { k: 'v' } }))
        await catalog.addMember(tx, {
          imageId: 'a',
          member: 'p2',
          status: 'accepted',
          createdAt: NOON,
          updatedAt: NOON,
        })
        await catalog.addLocation(tx, 'a', sampleLocation('l', 'k'))
        await catalog.writeAttachment(tx, 'a', 'map', new Uint8Array([1]))
        await catalog.remove(tx, 'a')
        await catalog.remove(tx, 'never')
      })
      const tables = [
        'images',
        'image_tags',
        'image_properties',
        'image_locations',
        'image_members',
      ]
      for (const table of [...tables, 'image_attachments'])
        assert.deepEqual(
          await database.read<Record<string, object>>().selectFrom(table).selectAll().execute(),
          [],
          table,
        )
    })

    it('keeps bytes beside an image, by kind', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const write = (kind: string, text: string) =>
        database.write((tx) => catalog.writeAttachment(tx, 'a', kind, Buffer.from(text)))
      await write('map', 'one')
      await write('map', 'two')
      await write('list', 'three')
      const read = async (kind: string) =>
        Buffer.from((await catalog.readAttachment('a', kind)) ?? []).toString()
      assert.equal(await read('map'), 'two')
      await database.write((tx) => catalog.removeAttachment(tx, 'a', 'map'))
      assert.equal(await catalog.readAttachment('a', 'map'), undefined)
      assert.equal(await read('list'), 'three')
    })

    it('counts what a project holds', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      assert.deepEqual(await catalog.usage('p1'), { count: 0, size: 0, uploading: 0, staged: 0 })
      await database.write(async (tx) => {
        const add = (id: string, parts: Partial<Image>) =>
          catalog.insert(tx, bareImage({ id, ...parts }))
        await add('a', { status: 'active', size: 10 })
        await catalog.addLocation(tx, 'a', sampleLocation('l1', 'k1'))
        await catalog.addLocation(tx, 'a', sampleLocation('l2', 'k2'))
        await add('b', { status: 'saving', size: 1000 })
        await add('c', { status: 'importing' })
        await catalog.update(tx, 'c', { stagedSize: 7 })
        await catalog.update(tx, 'c', { name: 'still staged' })
        await add('d', { status: 'pending_delete', size: 5 })
        await catalog.addLocation(tx, 'd', sampleLocation('l3', 'k3'))
        await add('e', { status: 'active', properties: { os_glance_importing_to_stores: 's' } })
        await add('f', { status: 'active', properties: { os_glance_importing_to_stores: '' } })
        await add('g', { owner: 'p2' })
        await add('h', { owner: null })
        assert.equal((await catalog.usage('p1', tx)).count, 5)
      })
      assert.deepEqual(await catalog.usage('p1'), { count: 5, size: 20, uploading: 3, staged: 7 })
      assert.equal((await catalog.usage(null)).count, 1)
    })

    it('lets nobody add to what a project holds between the count and the change', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const tries = await Promise.allSettled(
        Array.from({ length: 8 }, (_, n) =>
          database.write(async (tx) => {
            const { count } = await catalog.usage('p1', tx)
            if (count >= 3) throw new Error('full')
            await catalog.insert(tx, bareImage({ id: `i${n}` }))
          }),
        ),
      )
      assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 3)
      assert.equal((await catalog.usage('p1')).count, 3)
    })
  })
