import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import type { FailureCode } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import { placesOf } from '../images/status.ts'
import { failsWith } from '../testing/fails-with.ts'
import {
  ImportBench,
  type ImportServer,
  MEMBER,
  outcomeOf,
  uploadOf,
} from '../testing/import-bench.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openWebServer } from '../testing/web-server.ts'
import type { LocationChange, NewLocation } from './imports.ts'

const inTemp = await tempDir()
let opened = 0
const openBench = async (secure = true) =>
  await ImportBench.open(inTemp(`locations-${(opened += 1)}.db`), inTemp('.'), {
    image: { secure_hash: secure, max_locations: 2 },
  })

const CONTENT = Buffer.alloc(100_000, 'content')
const digest = (algorithm: string) => createHash(algorithm).update(CONTENT).digest('hex')
const SERVICE = { ...MEMBER, roles: ['service'], projectId: 'p-service' }

async function patch(one: ImportServer, id: string, ...changes: LocationChange[]): Promise<Image> {
  const image = await one.catalog.get(id)
  assert.ok(image)
  const apply = await one.imports.planLocations(image, changes)
  return await one.node.database.write(apply)
}

const placeAt = (url: string, more: Partial<NewLocation> = {}): NewLocation => ({
  url,
  metadata: {},
  ...more,
})
const addAt = (value: NewLocation, position: number | '-' = '-'): LocationChange => ({
  op: 'add',
  position,
  value,
})

describe('a location that is added', () => {
  it('makes the image active at once, and is hashed afterwards', async () => {
    await using web = await openWebServer({ '/x': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const image = await bench.image()
    const task = await one.imports.addLocation(image, `${web.url}/x`, undefined, MEMBER)
    const during = await one.catalog.get(image.id)
    assert.deepEqual(
      [during?.status, during?.size, during?.hashValue],
      ['active', CONTENT.length, null],
    )
    assert.equal(during?.hashAlgorithm, 'sha512', 'what it will be hashed by is known')
    await one.drain()
    const now = await one.catalog.get(image.id)
    assert.deepEqual([now?.hashAlgorithm, now?.hashValue], ['sha512', digest('sha512')])
    assert.equal(now?.checksum, digest('md5'))
    assert.deepEqual(now?.properties, {})
    assert.equal((await outcomeOf(one, task)).status, 'success')
  })

  it('waits for its digest if it has to have one, and is queued again if it has another', async () => {
    await using web = await openWebServer({ '/x': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    for (const value of [digest('sha256'), 'ab'.repeat(32)]) {
      const image = await bench.image({ id: value.slice(0, 8) })
      const wanted = { algorithm: 'sha256', value }
      await one.imports.addLocation(image, `${web.url}/x`, wanted, MEMBER)
      const during = await one.catalog.get(image.id)
      assert.ok(during)
      assert.equal(during.status, 'importing')
      assert.deepEqual(placesOf(during), [], 'nobody reads what is not checked yet')
      await one.drain()
      const now = await one.catalog.get(image.id)
      const isRight = value === digest('sha256')
      assert.equal(now?.status, isRight ? 'active' : 'queued')
      assert.equal(now?.hashAlgorithm, isRight ? 'sha256' : null)
      assert.equal(now?.hashValue, isRight ? value : null)
    }
  })

  it('and has another digest is told of, where nothing can be removed, until there is other data', async () => {
    await using web = await openWebServer({ '/x': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const url = `${web.url}/x`
    const wrong = { algorithm: 'sha256', value: 'ab'.repeat(32) }
    const failed = async (id: string) => {
      await one.imports.addLocation(await bench.image({ id }), url, wrong, MEMBER)
      await one.drain()
      const image = await one.catalog.get(id)
      assert.ok(image)
      assert.deepEqual(
        image.locations.map(({ store }) => store),
        ['web'],
      )
      assert.deepEqual(placesOf(image), [])
      return image
    }
    const storesNow = async ({ id }: Image) =>
      (await one.catalog.get(id))?.locations.map(({ store }) => store)
    const uploaded = await failed('uploaded')
    await one.uploads.upload(uploadOf(uploaded.id, CONTENT))
    assert.deepEqual(await storesNow(uploaded), ['a'])
    const again = await failed('again')
    await one.imports.addLocation(again, url, undefined, MEMBER)
    assert.deepEqual(await storesNow(again), ['web'])
    const patched = await failed('patched')
    await patch(one, patched.id, addAt(placeAt(url)))
    assert.deepEqual(await storesNow(patched), ['web'])
  })

  it('in a store that we write, and has another digest, is taken away', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const [place] = (await bench.active(CONTENT, { id: 'other' })).locations
    const image = await bench.image()
    const wrong = { algorithm: 'sha256', value: 'ab'.repeat(32) }
    await one.imports.addLocation(image, place?.url ?? '', wrong, SERVICE)
    await one.drain()
    const now = await one.catalog.get(image.id)
    assert.deepEqual([now?.status, now?.locations], ['queued', []])
  })

  it('is believed where nothing is hashed', async () => {
    await using web = await openWebServer({ '/x': CONTENT })
    await using bench = await openBench(false)
    const one = await bench.server()
    const image = await bench.image()
    const said = { algorithm: 'sha256', value: 'ab'.repeat(32) }
    assert.equal(await one.imports.addLocation(image, `${web.url}/x`, said, MEMBER), undefined)
    const now = await one.catalog.get(image.id)
    assert.deepEqual(
      [now?.status, now?.hashAlgorithm, now?.hashValue],
      ['active', 'sha256', said.value],
    )
  })

  it('is refused unless the image waits for data, and can be read', async () => {
    await using web = await openWebServer({ '/x': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const active = await bench.active(CONTENT, { id: 'active' })
    const queued = await bench.image({ id: 'queued' })
    const bare = await bench.image({ id: 'bare', diskFormat: null })
    const url = `${web.url}/x`
    const ours = active.locations[0]?.url ?? ''
    const cases: [FailureCode, Image, string][] = [
      ['IMAGE_STATE', active, url],
      ['REQUEST_INVALID', bare, url],
      ['REQUEST_INVALID', queued, `${web.url}/none`],
      ['REQUEST_INVALID', queued, 'http://10.0.0.1/x'],
      ['REQUEST_INVALID', queued, 'rbd://pool/image'],
      ['REQUEST_INVALID', queued, ours],
    ]
    for (const [code, image, at] of cases)
      await assert.rejects(
        one.imports.addLocation(image, at, undefined, MEMBER),
        failsWith(code),
        at,
      )
    await one.imports.addLocation(queued, ours, undefined, SERVICE)
    assert.equal((await one.catalog.get('queued'))?.status, 'active')
  })
})

describe('a patch of locations', () => {
  it('adds the first, which makes the image active, and more; takes away, but not the last', async () => {
    await using web = await openWebServer({ '/x': CONTENT, '/y': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image()
    const [x, y] = [placeAt(`${web.url}/x`), placeAt(`${web.url}/y`, { metadata: { room: '7' } })]
    const first = await patch(one, id, addAt(x))
    assert.deepEqual([first.status, first.size], ['active', CONTENT.length])
    const second = await patch(one, id, addAt(y, 1))
    assert.deepEqual(
      second.locations.map(({ metadata }) => metadata),
      [{}, { room: '7' }],
    )
    const third = await patch(one, id, { op: 'remove', position: 0 })
    assert.deepEqual(
      third.locations.map(({ url }) => url),
      [y.url],
    )
  })

  it('may send the list back with other metadata or in another order, and never another list', async () => {
    await using web = await openWebServer({ '/x': CONTENT, '/y': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image()
    const [x, y] = [placeAt(`${web.url}/x`), placeAt(`${web.url}/y`)]
    const replace = async (...value: NewLocation[]) =>
      await patch(one, id, { op: 'replace', value })
    assert.equal((await replace(x)).status, 'active')
    const before = await patch(one, id, addAt(y))
    const changed = await replace(y, { ...x, metadata: { store: 'web', date: '2015-10-15' } })
    assert.deepEqual(changed.locations, [
      before.locations[1],
      { ...before.locations[0], metadata: { date: '2015-10-15' } },
    ])
    for (const value of [[x], [x, placeAt(`${web.url}/z`)], [x, x]])
      await assert.rejects(replace(...value), failsWith('REQUEST_INVALID'))
    assert.deepEqual((await one.catalog.get(id))?.locations, changed.locations)
  })

  it('is refused where it would do harm', async () => {
    await using web = await openWebServer({ '/x': CONTENT, '/y': CONTENT, '/z': CONTENT })
    await using bench = await openBench()
    const one = await bench.server()
    const active = await bench.active(CONTENT, { id: 'active' })
    await bench.image({ id: 'queued' })
    await bench.image({ id: 'bare', containerFormat: null })
    await bench.image({ id: 'saving', status: 'saving' })
    const [x, y, z] = ['x', 'y', 'z'].map((name) => placeAt(`${web.url}/${name}`)) as [
      NewLocation,
      NewLocation,
      NewLocation,
    ]
    const ours = placeAt(active.locations[0]?.url ?? '')
    const says = (algorithm: string, value: string) => ({
      ...x,
      validation_data: { os_hash_algo: algorithm, os_hash_value: value },
    })
    const cases: [FailureCode, string, LocationChange[]][] = [
      ['FORBIDDEN', 'active', [{ op: 'remove', position: 0 }]],
      ['FORBIDDEN', 'active', [{ op: 'replace', value: [] }]],
      ['REQUEST_INVALID', 'active', [addAt(x), { op: 'remove', position: 7 }]],
      ['REQUEST_INVALID', 'active', [addAt(x, 7)]],
      ['REQUEST_INVALID', 'active', [addAt(x), addAt(x)]],
      ['LIMIT_EXCEEDED', 'active', [addAt(x), addAt(y), addAt(z)]],
      ['REQUEST_INVALID', 'queued', [addAt(ours)]],
      ['REQUEST_INVALID', 'bare', [addAt(x)]],
      ['IMAGE_STATE', 'saving', [addAt(x)]],
      ['IMAGE_STATE', 'queued', [{ op: 'remove', position: 0 }]],
      ['IMAGE_STATE', 'queued', [addAt(says('md5', digest('md5')))]],
      ['IMAGE_STATE', 'queued', [addAt(says('sha512', 'short'))]],
      ['IMAGE_STATE', 'active', [addAt(says('sha512', 'ab'.repeat(64)))]],
    ]
    for (const [code, id, changes] of cases)
      await assert.rejects(patch(one, id, ...changes), failsWith(code), JSON.stringify(changes))
    assert.deepEqual((await one.catalog.get('active'))?.locations, active.locations)
    const told = await patch(one, 'queued', addAt(says('sha512', digest('sha512'))))
    assert.deepEqual([told.status, told.hashValue], ['active', digest('sha512')])
  })
})
