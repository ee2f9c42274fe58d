import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { openTestServer } from '../../testing/test-service.ts'

const server = await openTestServer({ config: { image: { page_size: 3, max_page_size: 5 } } })
after(() => server[Symbol.asyncDispose]())
const { ask } = server

async function create(body: object, as = 'alice'): Promise<string> {
  const { status, json, text } = await ask('POST /v2/images', { as, body })
  assert.equal(status, 201, text)
  return json.id
}

const names = async (query: string, as = 'alice'): Promise<string[]> =>
  (await ask(`GET /v2/images?${query}`, { as })).json.images.map(
    ({ name }: { name: string }) => name,
  )

const nextOf = async (query: string): Promise<string | undefined> =>
  (await ask(`GET /v2/images?${query}`, { as: 'alice' })).json.next

// Of alice, in this order
for (const [index, name] of [
  'apple',
  'banana',
  'cherry',
  'date',
  'elder',
  'fig',
  'grape',
].entries())
  await create({
    name,
    min_ram: index,
    disk_format: index % 2 === 0 ? 'raw' : 'qcow2',
    tags: index < 2 ? ['early', name] : ['late'],
    ...(index === 3 && { os_distro: 'debian' }),
  })
await create({ name: 'hidden', os_hidden: true })
await create({ name: 'guarded', protected: true, visibility: 'private' })
// Of others
const offered = await create({ name: 'offered' }, 'bob')
await create({ name: 'theirs', visibility: 'private' }, 'bob')
await create({ name: 'for all', visibility: 'public' }, 'admin')
await create({ name: 'of the community', visibility: 'community' }, 'bob')
await ask(`POST /v2/images/${offered}/members`, { as: 'bob', body: { member: 'p-alice' } })

describe('a listing', () => {
  it('comes in pages, each of which says where the next begins', async () => {
    const seen: string[] = []
    let next: string | undefined = '/v2/images?owner=p-alice&sort=name:asc&limit=3'
    const first = next
    while (next !== undefined) {
      const { json } = await ask(`GET ${next}`, { as: 'alice' })
      seen.push(...json.images.map(({ name }: { name: string }) => name))
      assert.equal(json.schema, '/v2/schemas/images')
      assert.deepEqual(
        new URLSearchParams(json.first.split('?')[1]),
        new URLSearchParams(first.split('?')[1]),
      )
      next = json.next
    }
    const all = ['apple', 'banana', 'cherry', 'date', 'elder', 'fig', 'grape', 'guarded']
    assert.deepEqual(seen, all)
  })

  it('has a next page whenever this one was full, and none when it was not', async () => {
    assert.match(
      String(await nextOf('tag=early&limit=2')),
      /^\/v2\/images\?tag=early&limit=2&marker=/,
    )
    assert.equal(await nextOf('tag=early&limit=3'), undefined)
    assert.equal(await nextOf('limit=0'), undefined)
  })

  it('is as long as the service says, unless it is told otherwise, and never longer than the service allows', async () => {
    assert.equal((await names('')).length, 3)
    assert.equal((await names('limit=4')).length, 4)
    assert.equal((await names('limit=100')).length, 5)
    assert.equal((await names('limit=0')).length, 0)
  })

  it('shows the newest first', async () => {
    assert.deepEqual(await names('owner=p-alice&tag=early'), ['banana', 'apple'])
  })

  it('begins behind a marker that is there for the caller', async () => {
    const theirs = (await ask('GET /v2/images?name=theirs', { as: 'bob' })).json.images[0].id
    for (const marker of ['nonsense', '00000000-0000-4000-8000-000000000000', theirs])
      assert.equal((await ask(`GET /v2/images?marker=${marker}`, { as: 'alice' })).status, 400)
  })

  it('is narrowed by what images say', async () => {
    assert.deepEqual(await names('name=fig'), ['fig'])
    assert.deepEqual(await names('name=in:fig,date&sort=name'), ['fig', 'date'])
    assert.deepEqual(await names('os_distro=debian'), ['date'])
    assert.deepEqual(await names('tag=early&tag=apple'), ['apple'])
    assert.deepEqual(await names('disk_format=qcow2&owner=p-alice&sort=name:asc'), [
      'banana',
      'date',
      'fig',
    ])
    assert.deepEqual(await names('min_ram=4'), ['elder'])
    assert.deepEqual(await names('protected=true'), ['guarded'])
    assert.deepEqual(await names('os_hidden=true'), ['hidden'])
    assert.deepEqual(await names('created_at=lt:2001-01-01T00:00:00Z'), [])
    assert.deepEqual(await names('status=pending_delete'), [])
    assert.deepEqual(await names('no_such_property=x'), [])
  })

  it('has what is the caller’s, what is public, and what was shared with it and accepted', async () => {
    assert.deepEqual(await names('owner=p-admin'), ['for all'])
    assert.deepEqual(await names('visibility=community'), ['of the community'])
    assert.deepEqual(await names('owner=p-bob'), [])
    assert.deepEqual(await names('owner=p-bob&member_status=pending'), ['offered'])
    const body = { status: 'accepted' }
    await ask(`PUT /v2/images/${offered}/members/p-alice`, { as: 'alice', body })
    assert.deepEqual(await names('owner=p-bob'), ['offered'])
    assert.deepEqual(await names('owner=p-bob', 'admin'), ['theirs', 'offered'])
  })

  it('leaves out what a rule does not let the caller see, and still has a next page', async () => {
    const rules = { get_image: "rule:context_is_admin or not 'secret':%(name)s" }
    await using strict = await openTestServer({ rules })
    for (const name of ['plain', 'secret'])
      await strict.ask('POST /v2/images', { as: 'alice', body: { name } })
    const { json } = await strict.ask('GET /v2/images?limit=2', { as: 'alice' })
    assert.deepEqual(
      json.images.map(({ name }: { name: string }) => name),
      ['plain'],
    )
    assert.ok(json.next)
  })

  it('ends a page early when it grows large, and goes on with the next', async () => {
    await using large = await openTestServer()
    const body = { a: 'x'.repeat(65_000), b: 'x'.repeat(65_000) }
    const count = 140
    for (let made = 0; made < count; made += 1) await large.ask('POST /v2/images', { body })
    const seen = new Set<string>()
    let pages = 0
    for (let next = '/v2/images?limit=1000'; next !== undefined; pages += 1) {
      const { json } = await large.ask(`GET ${next}`)
      for (const { id } of json.images) seen.add(id)
      next = json.next
    }
    assert.deepEqual([seen.size, pages], [count, 2])
  })

  it('is for those who may read', async () => {
    assert.equal((await ask('GET /v2/images', { as: 'nobody' })).status, 403)
    assert.equal((await ask('GET /v2/images', { as: 'reader' })).status, 200)
  })
})
