import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openTestServer } from '../../testing/test-service.ts'

const server = await openTestServer()
after(() => server[Symbol.asyncDispose]())
const { ask } = server
const BASE = '/v2/metadefs/namespaces'

/** A namespace of this name, made by the administrator. */
async function make(namespace: string, body: object = {}): Promise<string> {
  const { status } = await ask(`POST ${BASE}`, { body: { namespace, ...body } })
  assert.equal(status, 201)
  return `${BASE}/${namespace}`
}

test('the standard definitions are there from the start, public and protected', async () => {
  const { json } = await ask(`GET ${BASE}/OS::Compute::LibvirtImage`, { as: 'reader' })
  assert.equal(json.visibility, 'public')
  assert.equal(json.protected, true)
  assert.ok(json.properties.hw_disk_bus.enum.includes('virtio'))
  const { status } = await ask(`DELETE ${BASE}/OS::Compute::LibvirtImage`)
  assert.equal(status, 403)
})

test('a namespace is made with all that is in it, shown, changed and deleted', async () => {
  const { status, headers, json } = await ask(`POST ${BASE}`, {
    body: {
      namespace: 'Test::Whole',
      display_name: 'Whole',
      properties: { colour: { title: 'Colour', type: 'string', enum: ['red', 'blue'] } },
      objects: [
        { name: 'Thing', required: [], properties: { n: { title: 'N', type: 'integer' } } },
      ],
      tags: [{ name: 'one' }],
      resource_type_associations: [{ name: 'OS::Glance::Image', prefix: 'hw_' }],
    },
  })
  assert.equal(status, 201)
  assert.equal(headers.location, `${BASE}/Test%3A%3AWhole`)
  assert.equal(json.visibility, 'private')
  assert.equal(json.owner, 'p-admin')
  const shown = await ask(`GET ${BASE}/Test::Whole?resource_type=OS::Glance::Image`)
  assert.deepEqual(Object.keys(shown.json.properties), ['hw_colour'])
  const changed = await ask(`PUT ${BASE}/Test::Whole`, {
    body: { namespace: 'Test::Renamed', visibility: 'public' },
  })
  assert.equal(changed.status, 200)
  const renamed = await ask(`GET ${BASE}/Test::Renamed`, { as: 'alice' })
  assert.deepEqual(Object.keys(renamed.json.properties), ['colour'])
  assert.equal((await ask(`DELETE ${BASE}/Test::Renamed`)).status, 204)
  assert.equal((await ask(`GET ${BASE}/Test::Renamed`)).status, 404)
})

test('a name is given once, a second time is a conflict', async () => {
  await make('Test::Twice')
  const again = await ask(`POST ${BASE}`, { body: { namespace: 'Test::Twice' } })
  assert.equal(again.status, 409)
})

test('private namespaces are not there for other projects, and nobody but administrators changes any', async () => {
  const path = await make('Test::Private')
  assert.equal((await ask(`GET ${path}`, { as: 'alice' })).status, 404)
  const open = await make('Test::Public', { visibility: 'public' })
  assert.equal((await ask(`GET ${open}`, { as: 'alice' })).status, 200)
  const body = { name: 'x', title: 'X', type: 'string' }
  assert.equal((await ask(`POST ${open}/properties`, { as: 'alice', body })).status, 403)
  assert.equal(
    (await ask(`POST ${BASE}`, { as: 'alice', body: { namespace: 'Mine' } })).status,
    403,
  )
  const { json } = await ask(`GET ${BASE}?limit=100`, { as: 'alice' })
  const names = json.namespaces.map((one: { namespace: string }) => one.namespace)
  assert.ok(names.includes('Test::Public') && !names.includes('Test::Private'))
})

test('pages of namespaces follow one another', async () => {
  const seen: string[] = []
  let path: string | undefined = `${BASE}?limit=7&sort_key=namespace&sort_dir=asc`
  while (path !== undefined) {
    const { json }: { json: { namespaces: { namespace: string }[]; next?: string } } = await ask(
      `GET ${path}`,
    )
    seen.push(...json.namespaces.map(({ namespace }) => namespace))
    path = json.next
  }
  assert.deepEqual(seen, seen.toSorted())
  assert.equal(new Set(seen).size, seen.length)
  assert.ok(seen.length >= 17)
})

test('listings are narrowed by the type of resource', async () => {
  const { json } = await ask(`GET ${BASE}?resource_types=OS::Nova::Aggregate&limit=100`)
  assert.deepEqual(
    json.namespaces.map((one: { namespace: string }) => one.namespace),
    ['OS::Compute::Hypervisor'],
  )
})

test('properties, objects and tags are made, listed, replaced and deleted', async () => {
  const path = await make('Test::Contents')
  const property = { name: 'size', title: 'Size', type: 'integer', minimum: 1 }
  assert.equal((await ask(`POST ${path}/properties`, { body: property })).status, 201)
  assert.equal((await ask(`POST ${path}/properties`, { body: property })).status, 409)
  const replaced = await ask(`PUT ${path}/properties/size`, {
    body: { ...property, name: 'extent' },
  })
  assert.equal(replaced.status, 200)
  assert.equal((await ask(`GET ${path}/properties/size`)).status, 404)
  assert.deepEqual((await ask(`GET ${path}/properties`)).json.properties.extent.minimum, 1)
  assert.equal((await ask(`DELETE ${path}/properties/extent`)).status, 204)

  const object = {
    name: 'Disk',
    description: 'd',
    properties: { n: { title: 'N', type: 'string' } },
  }
  assert.equal((await ask(`POST ${path}/objects`, { body: object })).status, 201)
  const listed = await ask(`GET ${path}/objects`)
  assert.equal(
    listed.json.objects[0].self,
    '/v2/metadefs/namespaces/Test%3A%3AContents/objects/Disk',
  )
  assert.equal((await ask(`DELETE ${path}/objects`)).status, 204)

  const tags = { tags: [{ name: 'a' }, { name: 'b' }] }
  assert.equal((await ask(`POST ${path}/tags`, { body: tags })).status, 201)
  const appended = await ask(`POST ${path}/tags`, {
    body: { tags: [{ name: 'c' }] },
    headers: { 'x-openstack-append': 'True' },
  })
  assert.equal(appended.status, 201)
  const names = async () =>
    (await ask(`GET ${path}/tags`)).json.tags.map((tag: { name: string }) => tag.name)
  assert.deepEqual(await names(), ['a', 'b', 'c'])
  assert.equal((await ask(`POST ${path}/tags`, { body: tags })).status, 201)
  assert.deepEqual(await names(), ['a', 'b'])
  assert.equal((await ask(`POST ${path}/tags/d`)).status, 201)
  assert.equal((await ask(`DELETE ${path}/tags/d`)).status, 204)
})

test('resource types are tied to a namespace and untied', async () => {
  const path = await make('Test::Types')
  const body = { name: 'OS::Test::Thing', prefix: 't:' }
  assert.equal((await ask(`POST ${path}/resource_types`, { body })).status, 201)
  const { json } = await ask(`GET ${path}/resource_types`)
  assert.equal(json.resource_type_associations[0].prefix, 't:')
  const all = await ask('GET /v2/metadefs/resource_types')
  assert.ok(all.json.resource_types.some((type: { name: string }) => type.name === body.name))
  assert.equal((await ask(`DELETE ${path}/resource_types/${body.name}`)).status, 204)
  assert.equal((await ask(`DELETE ${path}/resource_types/${body.name}`)).status, 404)
})

test('what is not of the shape is refused with the place of every fault', async () => {
  const { status, json } = await ask(`POST ${BASE}`, {
    body: { namespace: 7, colour: 'red' },
    headers: { accept: 'application/json' },
  })
  assert.equal(status, 400)
  assert.match(json.message, /\/namespace: wanted a text/)
  assert.match(json.message, /colour/)
})

test('clients find a schema of everything', async () => {
  for (const name of [
    'namespace',
    'namespaces',
    'object',
    'objects',
    'property',
    'properties',
    'tag',
    'tags',
    'resource_type',
    'resource_types',
  ]) {
    const { status, json } = await ask(`GET /v2/schemas/metadefs/${name}`, { as: 'reader' })
    assert.equal(status, 200, name)
    assert.ok(json.properties, name)
  }
})
