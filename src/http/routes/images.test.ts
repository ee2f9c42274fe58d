import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { openTestServer } from '../../testing/test-service.ts'

const server = await openTestServer({
  config: { image: { max_properties: 3, max_tags: 3 } },
})
after(() => server[Symbol.asyncDispose]())
const { ask, service } = server

const create = async (body: object = {}, as = 'alice') =>
  (await ask('POST /v2/images', { as, body })).json

describe('a new image', () => {
  it('needs nothing, and has the defaults of the Image API', async () => {
    const { status, json, headers } = await ask('POST /v2/images', { as: 'alice', body: {} })
    assert.equal(status, 201)
    const { id, created_at: createdAt, updated_at: updatedAt, ...rest } = json
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    assert.equal(updatedAt, createdAt)
    assert.deepEqual(rest, {
      name: null,
      status: 'queued',
      visibility: 'shared',
      protected: false,
      os_hidden: false,
      checksum: null,
      os_hash_algo: null,
      os_hash_value: null,
      owner: 'p-alice',
      size: null,
      virtual_size: null,
      container_format: null,
      disk_format: null,
      min_ram: 0,
      min_disk: 0,
      tags: [],
      self: `/v2/images/${id}`,
      file: `/v2/images/${id}/file`,
      schema: '/v2/schemas/image',
    })
    assert.equal(headers['location'], `${server.url}/v2/images/${id}`)
    assert.equal(headers['openstack-image-store-ids'], 'fast,slow')
  })

  it('is what it was said to be', async () => {
    const body = {
      id: randomUUID(),
      name: 'Käse "1" <b>',
      visibility: 'private',
      protected: false,
      os_hidden: true,
      disk_format: 'qcow2',
      container_format: 'bare',
      min_ram: 512,
      min_disk: 10,
      os_distro: 'debian',
      'quote"d': 'line\nbreak',
    }
    const { json } = await ask('POST /v2/images', {
      as: 'alice',
      body: { ...body, tags: ['b', 'a', 'b'] },
    })
    assert.partialDeepStrictEqual(json, { ...body, tags: ['a', 'b'] })
    assert.deepEqual((await ask(`GET /v2/images/${body.id}`, { as: 'alice' })).json, json)
  })

  it('cannot take the id of another', async () => {
    const { id } = await create()
    assert.equal((await ask('POST /v2/images', { as: 'bob', body: { id } })).status, 409)
  })

  const refused: Readonly<Record<string, [number, object | string]>> = {
    'with an id that is none': [400, { id: 'mine' }],
    'with a name of 256 characters': [400, { name: 'x'.repeat(256) }],
    'with a format that is not offered': [400, { disk_format: 'floppy' }],
    'with a container that is not offered': [400, { container_format: 'bag' }],
    'of an unknown visibility': [400, { visibility: 'secret' }],
    'with less than no memory': [400, { min_ram: -1 }],
    'with more disk than a number holds': [400, { min_disk: 2 ** 31 }],
    'with half a GiB of disk': [400, { min_disk: 0.5 }],
    'with a property that is no text': [400, { answer: 42 }],
    'with a property that is nothing': [400, { answer: null }],
    'with a property of a name without letters': [400, { '': 'x' }],
    'with a property of too long a name': [400, { ['x'.repeat(256)]: 'x' }],
    'with a text that databases cannot hold': [400, { name: 'a\0b' }],
    'with half a character': [400, '{"name":"\\ud800"}'],
    'with a tag of 256 characters': [400, { tags: ['x'.repeat(256)] }],
    'with tags that are no list': [400, { tags: 'a' }],
    'with a kernel that is no id': [400, { kernel_id: 'vmlinuz' }],
    'with too many tags': [413, { tags: ['1', '2', '3', '4'] }],
    'with too many properties': [413, { a: '1', b: '2', c: '3', d: '4' }],
    'whose status is said': [403, { status: 'active' }],
    'whose size is said': [403, { size: 1 }],
    'whose checksum is said': [403, { checksum: 'x' }],
    'whose digest is said': [403, { os_hash_value: 'x' }],
    'whose dates are said': [403, { created_at: '2026-01-01T00:00:00Z' }],
    'whose address is said': [403, { self: '/x' }],
    'whose stores are said': [403, { stores: 'fast' }],
    'that is said to be deleted': [403, { deleted: 'true' }],
    'with a property of the service’s own': [403, { os_glance_import_task: 'x' }],
    'that belongs to somebody else': [403, { owner: 'p-bob' }],
    'that belongs to nobody': [403, { owner: null }],
    'that everybody is to see': [403, { visibility: 'public' }],
    'from a list': [400, []],
    'from a text': [400, '"x"'],
    'from no JSON': [400, '{'],
    'from what is not UTF-8': [400, Buffer.from([0x7b, 0xff, 0x7d])],
    'from JSON that is nested too deeply': [400, `{"tags":${'['.repeat(99)}${']'.repeat(99)}}`],
    'from a name that means something to JavaScript': [400, '{"__proto__":"x"}'],
    'with a property of 64 KiB': [400, { a: 'x'.repeat(65_536) }],
    'with properties of more than 128 KiB': [
      413,
      { a: 'x'.repeat(65_000), b: 'x'.repeat(65_000), c: 'x'.repeat(2000) },
    ],
    'from a body of 3 MiB': [413, { a: 'x'.repeat(3 * 1024 * 1024) }],
  }
  for (const [title, [status, body]] of Object.entries(refused))
    it(`${title} is refused with ${status}`, async () => {
      const answer = await ask('POST /v2/images', { as: 'alice', body })
      assert.equal(answer.status, status, answer.text)
    })

  it('without a body is refused', async () => {
    assert.equal((await ask('POST /v2/images', { as: 'alice' })).status, 400)
  })

  it('is told all its faults at once', async () => {
    const body = { name: 1, visibility: 'x' }
    const { json } = await ask('POST /v2/images', { as: 'alice', body })
    assert.match(json.message, /name: .*visibility: /)
  })

  it('is counted in characters, of which an emoji is one', async () => {
    const [most, tooMany] = [255, 256].map((count) => '😀'.repeat(count))
    const body = { name: most, tags: [most], [most ?? '']: 'x' }
    assert.equal((await ask('POST /v2/images', { as: 'alice', body })).status, 201)
    for (const body of [{ name: tooMany }, { tags: [tooMany] }, { [tooMany ?? '']: 'x' }])
      assert.equal((await ask('POST /v2/images', { as: 'alice', body })).status, 400)
  })

  it('takes properties whose names mean something to JavaScript for what they are', async () => {
    const properties = { constructor: 'a', toString: 'b', hasOwnProperty: 'c' }
    assert.partialDeepStrictEqual(await create(properties), properties)
  })

  it('may be made for others, and for all, by administrators', async () => {
    const { owner } = await create({ owner: 'p-bob', visibility: 'public' }, 'admin')
    assert.equal(owner, 'p-bob')
  })

  it('is for members of projects to make, not for readers', async () => {
    assert.equal((await ask('POST /v2/images', { as: 'reader', body: {} })).status, 403)
  })

  it('counts against the quota of its project, exactly', async () => {
    const config = { quotas: { default: { image_count_total: 2 }, projects: {} } }
    await using limited = await openTestServer({ config })
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => limited.ask('POST /v2/images', { as: 'alice', body: {} })),
    )
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [201, 201, 413, 413, 413])
    assert.equal((await limited.ask('POST /v2/images', { as: 'bob', body: {} })).status, 201)
  })
})

describe('an image', () => {
  it('is not there for those who may not see it, and refuses those who may only see it', async () => {
    const own = await create({ visibility: 'private' })
    const open = await create({ visibility: 'public' }, 'admin')
    for (const line of ['GET', 'DELETE', 'PATCH']) {
      const body = line === 'PATCH' ? [] : undefined
      const { status } = await ask(`${line} /v2/images/${own.id}`, { as: 'bob', body })
      assert.equal(status, 404, line)
    }
    assert.equal((await ask(`GET /v2/images/${open.id}`, { as: 'bob' })).status, 200)
    assert.equal((await ask(`DELETE /v2/images/${open.id}`, { as: 'bob' })).status, 403)
    assert.equal((await ask(`DELETE /v2/images/${own.id}`, { as: 'reader' })).status, 403)
    assert.equal((await ask(`GET /v2/images/${own.id}`, { as: 'nobody' })).status, 404)
  })

  it('is gone when it was deleted', async () => {
    const { id } = await create()
    assert.equal((await ask(`DELETE /v2/images/${id}`, { as: 'alice' })).status, 204)
    for (const method of ['GET', 'DELETE'])
      assert.equal((await ask(`${method} /v2/images/${id}`, { as: 'alice' })).status, 404)
  })

  it('is not deleted while it is protected', async () => {
    const { id } = await create({ protected: true })
    const { status, json } = await ask(`DELETE /v2/images/${id}`, { as: 'alice' })
    assert.equal(status, 403)
    assert.match(json.fix, /protected/)
    const body = [{ op: 'replace', path: '/protected', value: false }]
    await ask(`PATCH /v2/images/${id}`, { as: 'alice', body })
    assert.equal((await ask(`DELETE /v2/images/${id}`, { as: 'alice' })).status, 204)
  })

  it('may be called anything, and one that is not there is not found', async () => {
    for (const name of ['no-uuid', '%2e%2e%2f', 'x'.repeat(2000), '%00'])
      assert.equal((await ask(`GET /v2/images/${name}`)).status, 404, name)
  })

  it('is taken out of use and into it, as often as one likes, once it has data', async () => {
    const { id } = await create({ disk_format: 'raw', container_format: 'bare' })
    const act = async (action: string, as = 'alice') =>
      (await ask(`POST /v2/images/${id}/actions/${action}`, { as })).status
    assert.equal(await act('deactivate'), 403)
    await service.database.write((tx) => service.catalog.update(tx, id, { status: 'active' }))
    assert.deepEqual([await act('deactivate'), await act('deactivate')], [204, 204])
    assert.equal((await ask(`GET /v2/images/${id}`)).json.status, 'deactivated')
    assert.deepEqual([await act('reactivate'), await act('reactivate')], [204, 204])
    assert.equal((await ask(`GET /v2/images/${id}`)).json.status, 'active')
    assert.equal(await act('deactivate', 'reader'), 403)
    assert.equal(await act('deactivate', 'bob'), 404)
  })

  it('shows where its data stands only where the service is told to', async () => {
    const locate = async (server: typeof shown) => {
      const { id } = (await server.ask('POST /v2/images', { as: 'alice', body: {} })).json
      const location = { id: 'l1', store: 'fast', key: 'k', url: 'memory://fast/k', metadata: {} }
      const { database, catalog } = server.service
      await database.write((tx) => catalog.addLocation(tx, id, location))
      return (await server.ask(`GET /v2/images/${id}`, { as: 'alice' })).json
    }
    const image = { show_direct_url: true, show_multiple_locations: true }
    await using shown = await openTestServer({ config: { image } })
    assert.partialDeepStrictEqual(await locate(shown), {
      stores: 'fast',
      direct_url: 'memory://fast/k',
      locations: [{ url: 'memory://fast/k', metadata: { store: 'fast' } }],
    })
    const hidden = await locate(server)
    assert.equal(hidden.stores, 'fast')
    assert.ok(!('locations' in hidden) && !('direct_url' in hidden))
  })
})
