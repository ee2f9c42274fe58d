import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { openTestServer } from '../../testing/test-service.ts'

const server = await openTestServer({ config: { image: { max_members: 2, max_tags: 2 } } })
after(() => server[Symbol.asyncDispose]())
const { ask } = server

async function create(body: object = {}): Promise<string> {
  return (await ask('POST /v2/images', { as: 'alice', body })).json.id
}
const share = async (id: string, member: unknown, as = 'alice') =>
  await ask(`POST /v2/images/${id}/members`, { as, body: { member } })
const answerAs = async (id: string, as: string, status: unknown, member = 'p-bob') =>
  await ask(`PUT /v2/images/${id}/members/${member}`, { as, body: { status } })

describe('members of an image', () => {
  it('are projects that it is shared with, who accept it or reject it', async () => {
    const id = await create()
    const { status, json } = await share(id, 'p-bob')
    assert.equal(status, 200)
    assert.partialDeepStrictEqual(json, {
      member_id: 'p-bob',
      image_id: id,
      status: 'pending',
      schema: '/v2/schemas/member',
    })
    for (const said of ['accepted', 'rejected', 'pending'])
      assert.equal((await answerAs(id, 'bob', said)).json.status, said)
    const list = await ask(`GET /v2/images/${id}/members`, { as: 'alice' })
    assert.equal(list.json.members.length, 1)
    assert.equal(list.json.schema, '/v2/schemas/members')
  })

  it('see the image from when it is shared, whatever they say to it, until it is not', async () => {
    const id = await create()
    const seen = async () => (await ask(`GET /v2/images/${id}`, { as: 'bob' })).status
    assert.equal(await seen(), 404)
    await share(id, 'p-bob')
    assert.equal(await seen(), 200)
    await answerAs(id, 'bob', 'rejected')
    assert.equal(await seen(), 200)
    const line = `DELETE /v2/images/${id}/members/p-bob`
    assert.equal((await ask(line, { as: 'alice' })).status, 204)
    assert.equal(await seen(), 404)
    assert.equal((await ask(line, { as: 'alice' })).status, 404)
  })

  it('are told and taken by the owner, and by no member', async () => {
    const id = await create()
    assert.equal((await share(id, 'p-carol', 'bob')).status, 404)
    await share(id, 'p-bob')
    assert.equal((await share(id, 'p-carol', 'bob')).status, 403)
    const line = `DELETE /v2/images/${id}/members/p-bob`
    assert.equal((await ask(line, { as: 'bob' })).status, 403)
    assert.equal((await answerAs(id, 'alice', 'accepted')).status, 403)
  })

  it('know nothing of each other', async () => {
    const id = await create()
    await share(id, 'p-bob')
    await share(id, 'p-carol')
    const { json } = await ask(`GET /v2/images/${id}/members`, { as: 'bob' })
    assert.deepEqual(
      json.members.map((member: { member_id: string }) => member.member_id),
      ['p-bob'],
    )
    const seen = async (member: string, as: string) =>
      (await ask(`GET /v2/images/${id}/members/${member}`, { as })).status
    assert.equal(await seen('p-bob', 'bob'), 200)
    assert.equal(await seen('p-carol', 'bob'), 404)
    assert.equal(await seen('p-carol', 'alice'), 200)
    assert.equal(await seen('p-nobody', 'alice'), 404)
  })

  it('are each there once, and so many at most', async () => {
    const id = await create()
    await share(id, 'p-bob')
    assert.equal((await share(id, 'p-bob')).status, 409)
    await share(id, 'p-carol')
    assert.equal((await share(id, 'p-dave')).status, 413)
  })

  it('are what they are said to be', async () => {
    const id = await create()
    for (const member of [undefined, '', 1, 'x'.repeat(256), 'a\0'])
      assert.equal((await share(id, member)).status, 400)
    await share(id, 'p-bob')
    for (const status of [undefined, 'maybe', 1])
      assert.equal((await answerAs(id, 'bob', status)).status, 400)
    assert.equal((await answerAs(id, 'alice', 'accepted', 'p-nobody')).status, 404)
  })

  it('are only of images that are shared', async () => {
    for (const visibility of ['private', 'community']) {
      const id = await create({ visibility })
      assert.equal((await share(id, 'p-bob')).status, 403)
      assert.equal((await ask(`GET /v2/images/${id}/members`, { as: 'alice' })).status, 403)
      assert.equal((await answerAs(id, 'alice', 'accepted')).status, 403)
    }
  })
})

const tagsOf = async (id: string) => (await ask(`GET /v2/images/${id}`)).json.tags

describe('tags of an image', () => {
  it('are put and taken away one by one', async () => {
    const id = await create()
    const tag = async (method: string, name: string) =>
      (await ask(`${method} /v2/images/${id}/tags/${encodeURIComponent(name)}`, { as: 'alice' }))
        .status
    assert.deepEqual([await tag('PUT', 'b/ä'), await tag('PUT', 'a'), await tag('PUT', 'a')], [204, 204, 204]) // prettier-ignore
    assert.deepEqual(await tagsOf(id), ['a', 'b/ä'])
    assert.equal(await tag('PUT', 'c'), 413)
    assert.deepEqual([await tag('DELETE', 'a'), await tag('DELETE', 'a')], [204, 404])
    assert.deepEqual(await tagsOf(id), ['b/ä'])
    assert.equal(await tag('PUT', 'x'.repeat(256)), 400)
    assert.equal(await tag('PUT', 'x\0'), 400)
    assert.equal(await tag('PUT', 'ä'.repeat(255)), 204)
  })

  it('are the owner’s to put', async () => {
    const id = await create()
    await share(id, 'p-bob')
    assert.equal((await ask(`PUT /v2/images/${id}/tags/x`, { as: 'bob' })).status, 403)
    assert.equal((await ask(`PUT /v2/images/${id}/tags/x`, { as: 'carol' })).status, 404)
  })
})

const read = async (name: string) => (await ask(`GET /v2/schemas/${name}`, { as: 'reader' })).json

describe('the schemas that clients read', () => {
  it('tell what an image has, what of it cannot be changed, and which properties are well known', async () => {
    const { name, properties, additionalProperties, links } = await read('image')
    assert.equal(name, 'image')
    assert.deepEqual(additionalProperties, { type: 'string' })
    assert.equal(properties.status.readOnly, true)
    assert.ok(!('readOnly' in properties.name))
    assert.deepEqual(properties.disk_format.enum.slice(0, 2), [null, 'ami'])
    assert.equal(properties.os_distro.is_base, false)
    const wellKnown = Object.values<{ is_base?: boolean }>(properties)
    assert.ok(wellKnown.filter((one) => one.is_base === false).length >= 50)
    assert.deepEqual(
      links.map(({ rel }: { rel: string }) => rel),
      ['self', 'enclosure', 'describedby'],
    )
  })

  it('are there for every collection and what is in it', async () => {
    for (const name of ['image', 'member', 'task']) {
      const one = await read(name)
      const all = await read(`${name}s`)
      assert.deepEqual(all.properties[`${name}s`].items, one)
      assert.equal(all.name, `${name}s`)
    }
  })
})
