import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import type { Database } from '../database/database.ts'
import { openDatabase } from '../database/open-database.ts'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { failsWith } from '../testing/fails-with.ts'
import { sampleImage } from '../testing/sample-image.ts'
import { catalogMigrations } from './catalog-migrations.ts'
import type { Catalog, ImageFilter, ImageQuery, Sort, Viewer } from './catalog.ts'
import { SORT_KEYS } from './catalog.ts'
import type { Image, Location, Member } from './image.ts'
import type { Pace } from './_catalog-list.ts'
import { openCatalog } from './open-catalog.ts'

const { kinds } = await openDatabaseKinds()
const ADMIN: Viewer = { project: 'admins', all: true }
const NOON = new Date('2026-07-01T12:00:00Z')

/** A record that says as little as it may. */
function newImage(parts: Partial<Image> & { id: string }): Image {
  const nothing = { name: null, containerFormat: null, diskFormat: null }
  return sampleImage({ ...nothing, createdAt: NOON, updatedAt: NOON, ...parts })
}

function place(id: string, key: string): Location {
  return { id, store: 'file', key, url: `file://${key}`, metadata: { of: key } }
}

for (const { kind, skip, address } of kinds)
  describe(`the catalog in ${kind}`, { skip }, () => {
    let now = NOON
    async function open(): Promise<{ database: Database; catalog: Catalog } & AsyncDisposable> {
      const database = await openDatabase(await address(), catalogMigrations, makeContext())
      const catalog = openCatalog(database, { now: () => now })
      return {
        database,
        catalog,
        [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
      }
    }

    it('keeps every field of a record, and changes only what it is told to', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const image = newImage({
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
      await database.write((tx) => catalog.insert(tx, newImage({ id: 'a' })))
      const first = await catalog.get('a')
      assert.equal(await catalog.get('a'), first)
      assert.equal((await list(catalog, {}))[0], first)
      await database.write((tx) => catalog.update(tx, 'a', { name: 'new' }))
      assert.equal((await list(catalog, {}))[0]?.name, 'new')
    })

    it('remembers nothing of a transaction that was undone, nor of an image that was made again', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write((tx) => catalog.insert(tx, newImage({ id: 'a', name: 'old' })))
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
      await database.write((tx) => catalog.insert(tx, newImage({ id: 'a', name: 'again' })))
      assert.equal((await catalog.get('a'))?.name, 'again')
    })

    it('refuses what does not fit the record', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const { revision } = await database.write((tx) => catalog.insert(tx, newImage({ id: 'a' })))
      const update = (id: string, options: Parameters<Catalog['update']>[3]) =>
        database.write((tx) => catalog.update(tx, id, { status: 'saving' }, options))
      await assert.rejects(
        database.write((tx) => catalog.insert(tx, newImage({ id: 'a' }))),
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
      await database.write((tx) => catalog.insert(tx, newImage({ id: 'a' })))
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
        await database.write((tx) => catalog.insert(tx, newImage({ id })))
      await add('a', place('l1', 'k1'))
      const two = await add('a', place('l2', 'k2'))
      await add('b', place('l3', 'k2'))
      assert.deepEqual(two.locations, [place('l1', 'k1'), place('l2', 'k2')])
      assert.deepEqual((await catalog.get('a'))?.locations, two.locations)
      const remove = (locationId: string) =>
        database.write((tx) => catalog.removeLocation(tx, 'a', locationId))
      assert.deepEqual((await remove('l1')).locations, [place('l2', 'k2')])
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
      await database.write((tx) => catalog.insert(tx, newImage({ id: 'a' })))
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
        await catalog.insert(tx, newImage({ id: 'a', tags: ['t'], properties: { k: 'v' } }))
        await catalog.addMember(tx, {
          imageId: 'a',
          member: 'p2',
          status: 'accepted',
          createdAt: NOON,
          updatedAt: NOON,
        })
        await catalog.addLocation(tx, 'a', place('l', 'k'))
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
          catalog.insert(tx, newImage({ id, ...parts }))
        await add('a', { status: 'active', size: 10 })
        await catalog.addLocation(tx, 'a', place('l1', 'k1'))
        await catalog.addLocation(tx, 'a', place('l2', 'k2'))
        await add('b', { status: 'saving', size: 1000 })
        await add('c', { status: 'importing' })
        await catalog.update(tx, 'c', { stagedSize: 7 })
        await catalog.update(tx, 'c', { name: 'still staged' })
        await add('d', { status: 'pending_delete', size: 5 })
        await catalog.addLocation(tx, 'd', place('l3', 'k3'))
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
            await catalog.insert(tx, newImage({ id: `i${n}` }))
          }),
        ),
      )
      assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 3)
      assert.equal((await catalog.usage('p1')).count, 3)
    })

    it('shows a viewer what it may see', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      await database.write(async (tx) => {
        for (const owner of ['p1', 'p2'])
          for (const visibility of ['public', 'community', 'shared', 'private'] as const)
            await catalog.insert(tx, newImage({ id: `${owner}-${visibility}`, owner, visibility }))
        for (const status of ['pending', 'accepted', 'rejected'] as const) {
          await catalog.insert(tx, newImage({ id: `p2-${status}`, owner: 'p2' }))
          await catalog.addMember(tx, {
            imageId: `p2-${status}`,
            member: 'p1',
            status,
            createdAt: NOON,
            updatedAt: NOON,
          })
        }
        await catalog.insert(tx, newImage({ id: 'p1-hidden', hidden: true }))
      })
      const seen = async (filter: ImageFilter, viewer: Viewer = { project: 'p1', all: false }) =>
        (await list(catalog, { filter, viewer }))
          .map(({ id }) => id)
          .toSorted()
          .join(' ')
      const own = 'p1-community p1-private p1-public p1-shared'
      assert.equal(await seen({}), `${own} p2-accepted p2-public`)
      assert.equal(await seen({ memberStatus: 'pending' }), `${own} p2-pending p2-public`)
      assert.equal(
        await seen({ memberStatus: 'all', visibility: 'shared' }),
        'p1-shared p2-accepted p2-pending p2-rejected',
      )
      assert.equal(await seen({ visibility: 'community' }), 'p1-community p2-community')
      assert.equal(await seen({ visibility: 'all' }), `${own} p2-accepted p2-community p2-public`)
      assert.equal(await seen({ visibility: 'private' }), 'p1-private')
      assert.equal(await seen({ hidden: true }), 'p1-hidden')
      assert.equal(await seen({ owner: 'p2' }), 'p2-accepted p2-public')
      assert.equal(await seen({}, { project: null, all: false }), 'p1-public p2-public')
      assert.equal(
        await seen({ owner: 'p2' }, { project: 'p1', all: true }),
        'p2-accepted p2-pending p2-private p2-public p2-rejected p2-shared',
      )
      assert.equal((await seen({ visibility: 'all' }, ADMIN)).split(' ').length, 11)
    })

    it('pages through any listing just as it would be filtered and sorted by hand', async () => {
      await using opened = await open()
      const { database, catalog } = opened
      const { images, members } = manyImages()
      await database.write(async (tx) => {
        for (const image of images) {
          await catalog.insert(tx, image)
          for (const location of image.locations) await catalog.addLocation(tx, image.id, location)
        }
        for (const member of members) await catalog.addMember(tx, member)
      })
      const stored = await list(catalog, { filter: { visibility: 'all' }, limit: 1000 })
      const hidden = await list(catalog, {
        filter: { visibility: 'all', hidden: true },
        limit: 1000,
      })
      const all = [...stored, ...hidden]
      assert.equal(all.length, images.length)
      await fc.assert(
        fc.asyncProperty(anyQuery, fc.constantFrom(...PACES), async (query, pace) => {
          const reader = openCatalog(database, { now: () => now }, pace)
          const expected = byHand(all, members, query)
          const paged: Image[] = []
          for (;;) {
            const after = paged.at(-1)
            const page = await reader.list({ ...query, ...(after && { after }) })
            paged.push(...page)
            if (page.length < query.limit) break
            assert.ok(paged.length <= all.length, 'pages come again and again')
          }
          assert.deepEqual(
            paged.map(({ id }) => id),
            expected.map(({ id }) => id),
          )
        }),
        {
          numRuns: 300,
          // behind a record that has nothing for a key that falls, after one that rises
          examples: [[BY_NAME_AND_FORMAT, PACES[0]]],
        },
      )
    })
  })

async function list(catalog: Catalog, query: Partial<ImageQuery>): Promise<Image[]> {
  return await catalog.list({ viewer: ADMIN, filter: {}, sort: [], limit: 100, ...query })
}

const NAMES = [null, 'a', 'b', 'B', 'ä', '🐧', '\u{ffee}', '', "o'k", '%']
const TAGS = ['x', 'y', ',', '","', 'a"b', '[', 'X']
const VALUES = ['1', '2', '', ':', '","', 'v'.repeat(300), `${'v'.repeat(299)}w`]
const KEYS = ['k', ':', ',', 'os_distro']
const STATUSES = ['queued', 'active', 'deactivated'] as const
const FORMATS = [null, 'raw', 'qcow2']
const PROJECTS = ['p1', 'p2', 'p3', null]
const VISIBILITIES = ['public', 'community', 'shared', 'private'] as const
const TIMES = [0, 1, 2].map((second) => new Date(NOON.getTime() + second * 1000))

/** From one entry at a time, where every way is too long at first, to all in one window. */
const PACES: [Pace, ...Pace[]] = [
  { first: 1, next: 1, few: 1, fewest: 0 },
  { first: 1, next: 3, few: 2, fewest: 2 },
  { first: 2, next: 7, few: 20, fewest: 20 },
  { first: 500, next: 2000, few: 5000, fewest: 5000 },
]

const BY_NAME_AND_FORMAT = {
  viewer: { project: 'p1', all: false },
  filter: {},
  sort: [
    { key: 'name' as const, direction: 'asc' as const },
    { key: 'disk_format' as const, direction: 'desc' as const },
  ],
  limit: 1 as const,
}

/** Records with few different values, so that ties and matches abound. */
function manyImages() {
  const image = fc.record({
    name: fc.constantFrom(...NAMES),
    status: fc.constantFrom(...STATUSES),
    visibility: fc.constantFrom(...VISIBILITIES),
    protected: fc.boolean(),
    hidden: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    owner: fc.constantFrom(...PROJECTS),
    size: fc.constantFrom(null, 0, 5, 2 ** 40),
    diskFormat: fc.constantFrom(...FORMATS),
    containerFormat: fc.constantFrom(null, 'bare'),
    minDiskGiB: fc.constantFrom(0, 1),
    createdAt: fc.constantFrom(...TIMES),
    checksum: fc.constantFrom(null, 'c1', 'c2'),
    hashValue: fc.constantFrom(null, 'h1'),
    tags: fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 4 }),
    properties: fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), { maxKeys: 3 }),
  })
  const [parts = []] = fc.sample(fc.array(image, { minLength: 150, maxLength: 150 }), {
    numRuns: 1,
    seed: 1,
  })
  const images = parts.map((one, n) => ({
    ...newImage({ ...one, id: `${(n * 7919) % 150}`.padStart(3, '0') }),
    locations: n % 3 === 0 ? [place(`l${n}`, `k${n}`)] : [],
  }))
  const members = images.flatMap(({ id }, n) =>
    n % 2 === 0
      ? []
      : [
          {
            imageId: id,
            member: `p${(n % 3) + 1}`,
            status: (['accepted', 'accepted', 'pending', 'rejected'] as const)[n % 4] ?? 'pending',
            createdAt: NOON,
            updatedAt: NOON,
          },
        ],
  )
  return { images, members }
}

const rarely = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 5, nil: undefined })
const comparison = fc.constantFrom('gt', 'gte', 'lt', 'lte', 'eq', 'neq')
const anyFilter = fc.record({
  anyOf: rarely(
    fc.record(
      {
        name: fc.subarray(NAMES.filter((name) => name !== null)),
        status: fc.subarray([...STATUSES]),
        disk_format: fc.subarray(['raw', 'qcow2', 'iso']),
        id: fc.subarray(['001', '002', '077', '149', 'none']),
      },
      { requiredKeys: [] },
    ),
  ),
  times: rarely(
    fc.array(
      fc.record({
        key: fc.constantFrom('created_at', 'updated_at'),
        comparison,
        time: fc.constantFrom(...TIMES),
      }),
      { maxLength: 2 },
    ),
  ),
  numbers: rarely(
    fc.array(
      fc.record({
        key: fc.constantFrom('size', 'min_disk'),
        comparison,
        value: fc.constantFrom(0, 1, 5),
      }),
      { maxLength: 2 },
    ),
  ),
  tags: rarely(fc.subarray(TAGS, { maxLength: 2 })),
  visibility: rarely(fc.constantFrom(...VISIBILITIES, 'all' as const)),
  memberStatus: rarely(fc.constantFrom('pending', 'accepted', 'rejected', 'all')),
  hidden: rarely(fc.boolean()),
  protected: rarely(fc.boolean()),
  owner: rarely(fc.constantFrom('p1', 'p2')),
  checksum: rarely(fc.constantFrom('c1', 'c3')),
  hashValue: rarely(fc.constantFrom('h1')),
  properties: rarely(
    fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES), { maxKeys: 2 }),
  ),
})
const anyQuery = fc.record({
  viewer: fc.record({ project: fc.constantFrom(...PROJECTS), all: fc.boolean() }),
  filter: anyFilter.map(
    (filter) =>
      Object.fromEntries(
        Object.entries(filter).filter(([, value]) => value !== undefined),
      ) as ImageFilter,
  ),
  sort: fc.array(
    fc.record({ key: fc.constantFrom(...SORT_KEYS), direction: fc.constantFrom('asc', 'desc') }),
    { maxLength: 3 },
  ),
  limit: fc.constantFrom(1, 2, 7, 50, 1000),
})

function byHand(images: readonly Image[], members: readonly Member[], query: ImageQuery): Image[] {
  const { sort } = query
  const found = images.filter((image) => isSeen(image, members, query) && fits(image, query.filter))
  const last = sort.at(-1)?.direction ?? 'desc'
  const keys: readonly Sort[] =
    sort.length === 0 ? [{ key: 'created_at', direction: 'desc' }] : sort
  return found.toSorted((a, b) => {
    for (const { key, direction } of [...keys, { key: 'id' as const, direction: last }]) {
      const order = compare(columnOf(a, key), columnOf(b, key))
      if (order !== 0) return direction === 'asc' ? order : -order
    }
    return 0
  })
}

function isSeen(image: Image, members: readonly Member[], { viewer, filter }: ImageQuery): boolean {
  const { visibility, memberStatus = 'accepted' } = filter
  const isOwn = viewer.project !== null && image.owner === viewer.project
  if (visibility !== undefined && visibility !== 'all' && image.visibility !== visibility)
    return false
  if (visibility === undefined && image.visibility === 'community' && !isOwn) return false
  if (viewer.all || isOwn || ['public', 'community'].includes(image.visibility)) return true
  return (
    image.visibility === 'shared' &&
    members.some(
      ({ imageId, member, status }) =>
        imageId === image.id &&
        member === viewer.project &&
        (memberStatus === 'all' || status === memberStatus),
    )
  )
}

function fits(image: Image, filter: ImageFilter): boolean {
  return (
    image.hidden === (filter.hidden ?? false) &&
    isAnyOf(image.id, filter.anyOf?.id) &&
    isAnyOf(image.name, filter.anyOf?.name) &&
    isAnyOf(image.status, filter.anyOf?.status) &&
    isAnyOf(image.diskFormat, filter.anyOf?.disk_format) &&
    (filter.times ?? []).every(({ key, comparison: sign, time }) =>
      holds(columnOf(image, key), sign, time.getTime()),
    ) &&
    (filter.numbers ?? []).every(({ key, comparison: sign, value }) =>
      holds(key === 'size' ? image.size : image.minDiskGiB, sign, value),
    ) &&
    (filter.tags ?? []).every((tag) => image.tags.includes(tag)) &&
    is(image.protected, filter.protected) &&
    is(image.owner, filter.owner) &&
    is(image.checksum, filter.checksum) &&
    is(image.hashValue, filter.hashValue) &&
    Object.entries(filter.properties ?? {}).every(([key, value]) => image.properties[key] === value)
  )
}

function isAnyOf(value: string | null, list: readonly string[] | undefined): boolean {
  return list === undefined || (value !== null && list.includes(value))
}

function is(value: unknown, wanted: unknown): boolean {
  return wanted === undefined || value === wanted
}

function holds(value: number | string | null, sign: string, wanted: number): boolean {
  if (value === null) return false
  const order = compare(value, wanted)
  if (sign === 'eq') return order === 0
  if (sign === 'neq') return order !== 0
  return (sign.startsWith('g') ? order > 0 : order < 0) || (sign.endsWith('e') && order === 0)
}

function columnOf(image: Image, key: Sort['key']): string | number | null {
  const columns = {
    id: image.id,
    name: image.name,
    status: image.status,
    size: image.size,
    disk_format: image.diskFormat,
    container_format: image.containerFormat,
    created_at: image.createdAt.getTime(),
    updated_at: image.updatedAt.getTime(),
  }
  return columns[key]
}

/** Nothing before all values; texts by their bytes. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null) || 0
  if (typeof a === 'number' || typeof b === 'number') return Number(a) - Number(b)
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
