import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { tempDir } from '../../testing/temp-dir.ts'
import { openTestServer } from '../../testing/test-service.ts'

const temp = await tempDir()
const server = await openTestServer({ config: { image: { max_properties: 3, max_tags: 2 } } })
after(() => server[Symbol.asyncDispose]())
const { ask, service } = server

const OLDER = { 'content-type': 'application/openstack-images-v2.0-json-patch' }

async function create(body: object = {}, as = 'alice'): Promise<string> {
  return (await ask('POST /v2/images', { as, body })).json.id
}

const patch = async (id: string, body: unknown, as = 'alice', headers = {}) =>
  await ask(`PATCH /v2/images/${id}`, { as, body, headers })

describe('a patch of an image', () => {
  it('changes what the record says of it, and gives the image as it is then', async () => {
    const id = await create({ name: 'old', kept: 'a', gone: 'b' })
    const { status, json } = await patch(id, [
      { op: 'replace', path: '/name', value: 'new' },
      { op: 'add', path: '/os_hidden', value: true },
      { op: 'replace', path: '/visibility', value: 'private' },
      { op: 'replace', path: '/min_ram', value: 64 },
      { op: 'replace', path: '/disk_format', value: 'vhdx' },
      { op: 'replace', path: '/tags', value: ['b', 'a', 'b'] },
      { op: 'add', path: '/a~1b', value: 'c' },
      { op: 'replace', path: '/kept', value: 'd' },
      { op: 'remove', path: '/gone' },
    ])
    assert.equal(status, 200)
    assert.partialDeepStrictEqual(json, {
      name: 'new',
      os_hidden: true,
      visibility: 'private',
      min_ram: 64,
      disk_format: 'vhdx',
      tags: ['a', 'b'],
      'a/b': 'c',
      kept: 'd',
    })
    assert.ok(!('gone' in json))
    assert.deepEqual((await ask(`GET /v2/images/${id}`, { as: 'alice' })).json, json)
  })

  it('does all that it says, or nothing', async () => {
    const id = await create({ name: 'old' })
    const steps = [
      { op: 'replace', path: '/name', value: 'new' },
      { op: 'remove', path: '/missing' },
    ]
    assert.equal((await patch(id, steps)).status, 409)
    assert.equal((await ask(`GET /v2/images/${id}`)).json.name, 'old')
  })

  it('of nothing changes nothing', async () => {
    const id = await create()
    assert.equal((await patch(id, [])).status, 200)
  })

  it('comes in one of two media types, and others are told which', async () => {
    const id = await create()
    const { status, headers } = await patch(id, [], 'alice', { 'content-type': 'application/json' })
    assert.equal(status, 415)
    assert.match(String(headers['accept-patch']), /v2\.0-json-patch, .*v2\.1-json-patch/)
  })

  it('of the older kind does not add what is there', async () => {
    const id = await create({ there: 'x' })
    const older = async (step: object) => (await patch(id, [step], 'alice', OLDER)).status
    assert.equal(await older({ add: '/there', value: 'y' }), 409)
    assert.equal(await older({ add: '/name', value: 'y' }), 409)
    assert.equal(await older({ add: '/new', value: 'y' }), 200)
    assert.equal(await older({ replace: '/there', value: 'y' }), 200)
    assert.equal(await older({ remove: '/there' }), 200)
  })

  const refused: Readonly<Record<string, [number, unknown]>> = {
    'that is no list': [400, { op: 'add' }],
    'of a property that is not there': [409, [{ op: 'replace', path: '/x', value: 'y' }]],
    'that removes what is not there': [409, [{ op: 'remove', path: '/x' }]],
    'that removes what every image has': [403, [{ op: 'remove', path: '/name' }]],
    'that removes all tags at once': [403, [{ op: 'remove', path: '/tags' }]],
    'of its id': [403, [{ op: 'replace', path: '/id', value: 'x' }]],
    'of its status': [403, [{ op: 'replace', path: '/status', value: 'active' }]],
    'of its size': [403, [{ op: 'replace', path: '/size', value: 1 }]],
    'of its digest': [403, [{ op: 'add', path: '/os_hash_value', value: 'x' }]],
    'of what is reserved': [403, [{ op: 'add', path: '/deleted', value: 'x' }]],
    'of what is the service’s own': [403, [{ op: 'add', path: '/os_glance_x', value: 'x' }]],
    'of its owner': [403, [{ op: 'replace', path: '/owner', value: 'p-bob' }]],
    'of its locations, which are not shown': [
      403,
      [{ op: 'add', path: '/locations/-', value: { url: 'memory://a/b', metadata: {} } }],
    ],
    'that makes it public': [403, [{ op: 'replace', path: '/visibility', value: 'public' }]],
    'to a visibility that is none': [400, [{ op: 'replace', path: '/visibility', value: 'x' }]],
    'to a name that is no text': [400, [{ op: 'replace', path: '/name', value: 1 }]],
    'to a property that is no text': [400, [{ op: 'add', path: '/x', value: 1 }]],
    'to a format that is not offered': [400, [{ op: 'replace', path: '/disk_format', value: 'x' }]],
    'to too many tags': [413, [{ op: 'replace', path: '/tags', value: ['1', '2', '3'] }]],
    'to too many properties': [
      413,
      ['a', 'b', 'c', 'd'].map((name) => ({ op: 'add', path: `/${name}`, value: 'x' })),
    ],
    'to a property called __proto__': [400, [{ op: 'add', path: '/__proto__', value: 'x' }]],
    'to more than 128 KiB of properties': [
      413,
      ['a', 'b', 'c'].map((name) => ({ op: 'add', path: `/${name}`, value: 'x'.repeat(50_000) })),
    ],
    'of a single tag': [400, [{ op: 'add', path: '/tags/-', value: 'x' }]],
    'that moves': [400, [{ op: 'move', path: '/x', from: '/y' }]],
  }
  for (const [title, [status, body]] of Object.entries(refused))
    it(`${title} is refused with ${status}`, async () => {
      const answer = await patch(await create(), body)
      assert.equal(answer.status, status, answer.text)
    })

  it('may be refused by its rule, and by that of the visibility it sets', async () => {
    const id = await create()
    const toCommunity = [{ op: 'replace', path: '/visibility', value: 'community' }]
    assert.equal((await patch(id, toCommunity)).status, 200)
    assert.equal((await patch(id, [], 'bob')).status, 403)
    assert.equal((await patch(id, [], 'reader')).status, 403)
    const toPublic = [{ op: 'replace', path: '/visibility', value: 'public' }]
    assert.equal((await patch(id, toPublic, 'admin')).status, 200)
  })

  it('gives the image to somebody else only by administrators', async () => {
    const id = await create()
    const steps = [{ op: 'replace', path: '/owner', value: 'p-bob' }]
    assert.equal((await patch(id, steps, 'admin')).json.owner, 'p-bob')
  })

  it('changes formats only as long as there is no data', async () => {
    const id = await create({ disk_format: 'raw', container_format: 'bare' })
    await service.database.write((tx) => service.catalog.update(tx, id, { status: 'active' }))
    for (const [name, value] of [
      ['disk_format', 'qcow2'],
      ['container_format', 'ova'],
    ])
      assert.equal((await patch(id, [{ op: 'replace', path: `/${name}`, value }])).status, 403)
    const same = [{ op: 'replace', path: '/disk_format', value: 'raw' }]
    assert.equal((await patch(id, same)).status, 200)
  })

  it('takes a property away that is set to nothing', async () => {
    const id = await create({ kernel_id: '00000000-0000-4000-8000-000000000000' })
    const { json } = await patch(id, [{ op: 'replace', path: '/kernel_id', value: null }])
    assert.ok(!('kernel_id' in json))
  })

  it('does not lose what others change at the same time', async () => {
    const id = await create()
    const steps = ['a', 'b', 'c'].map((name) => [{ op: 'add', path: `/${name}`, value: 'x' }])
    const answers = await Promise.all(steps.map((step) => patch(id, step)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    )
    assert.partialDeepStrictEqual((await ask(`GET /v2/images/${id}`)).json, {
      a: 'x',
      b: 'x',
      c: 'x',
    })
  })

  it('leaves protected properties alone', async () => {
    const file = temp('protections.conf')
    const open = ['create', 'read', 'update', 'delete'].map((action) => `${action} = admin,member`)
    const shut = ['create', 'update', 'delete'].map((action) => `${action} = admin`)
    await writeFile(
      file,
      `[x_.*]\n${shut.join('\n')}\nread = admin,member\n[secret]\n${shut.join('\n')}\nread = admin\n[.*]\n${open.join('\n')}\n`,
    )
    await using guarded = await openTestServer({ config: { property_protections: file } })
    const made = await guarded.ask('POST /v2/images', {
      body: { owner: 'p-alice', x_owner: 'us', secret: 's', free: 'f' },
    })
    const line = `PATCH /v2/images/${made.json.id}`
    const seen = await guarded.ask(`GET /v2/images/${made.json.id}`, { as: 'alice' })
    assert.equal(seen.json.x_owner, 'us')
    assert.ok(!('secret' in seen.json))
    for (const step of [
      { op: 'replace', path: '/x_owner', value: 'me' },
      { op: 'remove', path: '/x_owner' },
      { op: 'add', path: '/x_new', value: 'me' },
      { op: 'replace', path: '/secret', value: 'me' },
    ])
      assert.equal((await guarded.ask(line, { as: 'alice', body: [step] })).status, 403, step.path)
    const step = { op: 'replace', path: '/free', value: 'me' }
    assert.equal((await guarded.ask(line, { as: 'alice', body: [step] })).status, 200)
    const refused = await guarded.ask('POST /v2/images', { as: 'alice', body: { x_a: 'b' } })
    assert.equal(refused.status, 403)
  })
})
