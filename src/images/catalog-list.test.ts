import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { openDatabaseKinds } from '../testing/database-kinds.ts'
import { listByHand } from '../testing/list-by-hand.ts'
import { sampleLocation } from '../testing/sample-image.ts'
import { ADMIN, bareImage, listImages, NOON, openTestCatalog } from '../testing/test-catalog.ts'
import type { ImageFilter, Viewer } from './catalog.ts'
import { SORT_KEYS } from './catalog.ts'
import type { Image } from './image.ts'
import type { Pace } from './_catalog-list.ts'
import { openCatalog } from './open-catalog.ts'

const { kinds } = await openDatabaseKinds()

for (const { kind, skip, address } of kinds)
  describe(`a listing of the catalog in ${kind}`, { skip }, () => {
    it('shows a viewer what it may see', async () => {
      await using opened = await openTestCatalog(await address())
      const { database, catalog } = opened
      await database.write(async (tx) => {
        for (const owner of ['p1', 'p2'])
          for (const visibility of ['public', 'community', 'shared', 'private'] as const)
            await catalog.insert(tx, bareImage({ id: `${owner}-${visibility}`, owner, visibility }))
        for (const status of ['pending', 'accepted', 'rejected'] as const) {
          await catalog.insert(tx, bareImage({ id: `p2-${status}`, owner: 'p2' }))
          await catalog.addMember(tx, {
            imageId: `p2-${status}`,
            member: 'p1',
            status,
            createdAt: NOON,
            updatedAt: NOON,
          })
        }
        await catalog.insert(tx, bareImage({ id: 'p1-hidden', hidden: true }))
      })
      const seen = async (filter: ImageFilter, viewer: Viewer = { project: 'p1', all: false }) =>
        (await listImages(catalog, { filter, viewer }))
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
      await using opened = await openTestCatalog(await address())
      const { database, catalog } = opened
      const { images, members } = manyImages()
      await database.write(async (tx) => {
        for (const image of images) {
          await catalog.insert(tx, image)
          for (const location of image.locations) await catalog.addLocation(tx, image.id, location)
        }
        for (const member of members) await catalog.addMember(tx, member)
      })
      const stored = await listImages(catalog, { filter: { visibility: 'all' }, limit: 1000 })
      const hidden = await listImages(catalog, {
        filter: { visibility: 'all', hidden: true },
        limit: 1000,
      })
      const all = [...stored, ...hidden]
      assert.equal(all.length, images.length)
      await fc.assert(
        fc.asyncProperty(anyQuery, fc.constantFrom(...PACES), async (query, pace) => {
          const reader = openCatalog(database, { now: () => NOON }, pace)
          const expected = listByHand(all, members, query)
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
    ...bareImage({ ...one, id: `${(n * 7919) % 150}`.padStart(3, '0') }),
    locations: n % 3 === 0 ? [sampleLocation(`l${n}`, `k${n}`)] : [],
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
