import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { readEvents } from '../../bytes/event-stream.ts'
import { KiB } from '../../base/units.ts'
import { openTestServer, type Question, type TestServer } from '../../testing/test-service.ts'

const TDL = `<template><name>mock</name><os><name>MockOS_A</name><version>1</version><arch>x86_64</arch>
<install type='url'><url>http://mirror.example/os/</url></install></os></template>`
const BUILDS = '/ingot/v1/builds'

let server: TestServer
before(async () => {
  server = await openTestServer()
})
after(async () => await server[Symbol.asyncDispose]())

const base = (more: object = {}) => ({ type: 'base', template: TDL, ...more })

async function order(body: object, as = 'alice') {
  const answer = await server.ask(`POST ${BUILDS}`, { as, body })
  assert.equal(answer.status, 202, answer.text)
  assert.equal(answer.headers.location, `${BUILDS}/${answer.json.id}`)
  return answer.json
}

/** The events of a build until it has ended. */
async function follow(id: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}${BUILDS}/${id}/events`, {
    headers: { 'x-auth-token': 'alice', ...headers },
  })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.ok(response.body)
  const events = await Array.fromAsync(readEvents(response.body))
  return events.map((one) => ({ ...one, data: JSON.parse(one.data) }))
}

const ask = async (line: string, question: Question = {}) =>
  await server.ask(line, { as: 'alice', ...question })

it('an order beyond what a project may have under way is told the limit, and what to do, by both interfaces', async () => {
  await using closed = await openTestServer({ config: { factory: { max_under_way: 0 } } })
  const orders = {
    [BUILDS]: base(),
    '/imagefactory/base_images': { base_image: { template: TDL } },
  }
  for (const [path, body] of Object.entries(orders)) {
    const { status, json } = await closed.ask(`POST ${path}`, { as: 'alice', body })
    assert.deepEqual([status, json.failure], [413, 'QUOTA_EXCEEDED'])
    assert.match(json.message, /project p-alice .* more than 0 images under way/)
    assert.match(json.fix, /cancel them/)
  }
})

describe('builds behind the API', () => {
  it('are ordered, followed until they have ended, shown, and deleted', async () => {
    const { id, status, percent } = await order(base({ parameters: { mock_console: 'boot\r\n' } }))
    assert.deepEqual([status, percent], ['NEW', 0])
    const events = await follow(id)
    const { event, data } = events.at(-1) ?? {}
    assert.deepEqual([event, data.status, data.percent], ['end', 'COMPLETE', 100])
    const logged = events.filter((one) => one.event === 'log')
    assert.deepEqual(
      logged.map((one) => Number(one.id)),
      logged.map((_, index) => index + 1),
    )
    assert.ok(logged.some((one) => one.data.kind === 'console' && one.data.text === 'boot\r\n'))
    const shown = (await ask(`GET ${BUILDS}/${id}`)).json
    assert.deepEqual([shown.builder, shown.image_id, shown.template], ['mock', id, TDL])
    assert.equal((await ask(`DELETE ${BUILDS}/${id}?keep=perhaps`)).status, 400)
    for (const line of [`DELETE ${BUILDS}/${id}?kep=true`, `GET ${BUILDS}?limt=3`]) {
      const { status, json } = await ask(line)
      assert.equal(status, 400)
      assert.match(
        json.message,
        /unknown query parameter '(kep|limt)'; did you mean '(keep|limit)'/,
      )
    }
    assert.equal((await ask(`DELETE ${BUILDS}/${id}?keep=true`)).status, 204)
  })

  it('give their events from where a client was, who comes back', async () => {
    const { id } = await order(base())
    const all = await follow(id)
    const ids = all.flatMap((one) => (one.id === undefined ? [] : [one.id]))
    const [first = ''] = ids
    const rest = await follow(id, { 'last-event-id': first })
    assert.deepEqual(
      rest.flatMap((one) => (one.id === undefined ? [] : [one.id])),
      ids.slice(1),
    )
    assert.equal(rest.at(-1)?.event, 'end')
  })

  it('give their log as entries, in pages, and as text', async () => {
    const { id } = await order(base({ parameters: { mock_console: 'hello\n' } }))
    await follow(id)
    const whole = (await ask(`GET ${BUILDS}/${id}/log`)).json.entries
    const first = (await ask(`GET ${BUILDS}/${id}/log?limit=1`)).json
    const next = (await ask(`GET ${BUILDS}/${id}/log?after=${first.next}`)).json
    assert.deepEqual([...first.entries, ...next.entries], whole)
    const text = await ask(`GET ${BUILDS}/${id}/log`, { headers: { accept: 'text/plain' } })
    assert.match(text.text, /^hello$/m)
    assert.equal((await ask(`GET ${BUILDS}/${id}/log?after=x`)).status, 400)
  })

  it('have documents, a body, and children', async () => {
    const { id } = await order(base())
    await follow(id)
    const target = await order({ type: 'target', target: 'mock', parent_id: id })
    await follow(target.id)
    const icicle = await ask(`GET ${BUILDS}/${id}/documents/icicle`)
    assert.deepEqual([icicle.status, icicle.headers['content-type']], [200, 'application/xml'])
    assert.equal((await ask(`GET ${BUILDS}/${id}/documents/screenshot`)).status, 404)
    assert.equal((await ask(`GET ${BUILDS}/${id}/documents/nothing`)).status, 404)
    const part = await ask(`GET ${BUILDS}/${target.id}/artifact`, {
      headers: { range: 'bytes=-1' },
    })
    assert.deepEqual([part.status, part.text.length], [206, 1])
    const { builds } = (await ask(`GET ${BUILDS}/${id}/children`)).json
    assert.deepEqual(
      builds.map((one: { id: string }) => one.id),
      [target.id],
    )
  })

  it('are listed newest first, without templates, page by page, each project its own', async () => {
    const made = []
    for (let count = 0; count < 3; count++) made.unshift((await order(base(), 'carol')).id)
    const listed = []
    let path = `${BUILDS}?limit=2&type=base`
    while (path !== undefined) {
      const { builds, next } = (await ask(`GET ${path}`, { as: 'carol' })).json
      listed.push(...builds)
      path = next
    }
    assert.deepEqual(
      listed.map(({ id }) => id),
      made,
    )
    assert.ok(listed.every((one) => !('template' in one)))
    assert.deepEqual((await ask(`GET ${BUILDS}`, { as: 'bob' })).json, { builds: [] })
    assert.equal((await ask(`GET ${BUILDS}/${made[0]}`, { as: 'bob' })).status, 404)
    for (const query of ['type=x', 'status=x', 'limit=0', 'marker=x'])
      assert.notEqual((await ask(`GET ${BUILDS}?${query}`)).status, 200, query)
  })

  it('are cancelled, and begun again', async () => {
    const { id } = await order(base({ parameters: { mock_wait: 600 } }))
    assert.equal((await ask(`POST ${BUILDS}/${id}/cancel`)).status, 202)
    const ended = (await follow(id)).at(-1)?.data
    assert.deepEqual([ended.status, ended.error], ['FAILED', 'cancelled'])
    assert.equal((await ask(`POST ${BUILDS}/${id}/cancel`)).status, 409)
    assert.equal((await ask(`POST ${BUILDS}/${id}/retry`)).status, 202)
    await ask(`POST ${BUILDS}/${id}/cancel`)
    await follow(id)
  })

  it('are refused with every fault of an order, and say what may not be said', async () => {
    const cases: [object, number, RegExp, string?][] = [
      [{}, 400, /type/],
      [{ type: 'base', provider: 'x' }, 400, /no provider; template is missing/],
      [{ type: 'target', template: TDL }, 400, /target is missing/],
      [{ type: 'target', target: 'mock' }, 400, /template or parent_id/],
      [base({ nonsense: 1 }), 400, /nonsense/],
      [base({ files: { a: '!' } }), 400, /base64/],
      [base({ parameters: { no_such: 1 } }), 400, /no_such/],
      [base({ template: TDL.replace('install', 'intall') }), 400, /install/],
      [base({ builder: 'nobody' }), 400, /nobody/],
      [
        { type: 'provider', target: 'mock', provider: 'x', template: TDL, credentials: '{}' },
        403,
        /factory_given_provider/,
      ],
      [base({ builder: 'remote', parameters: { endpoint: 'http://x' } }), 403, /given_provider/],
      [base({ parameters: { trusted: true } }), 403, /factory_trusted/],
      [
        base({ builder: 'remote', parameters: { remote_parameters: '{"trusted": true}' } }),
        403,
        /factory_trusted/,
      ],
      [base(), 403, /factory_create/, 'reader'],
    ]
    for (const [body, status, message, as] of cases) {
      const answer = await ask(`POST ${BUILDS}`, { body, ...(as && { as }) })
      assert.equal(answer.status, status, `${JSON.stringify(body)}: ${answer.text}`)
      assert.match(answer.json.message, message)
    }
  })

  it('of image files need a system inside', async () => {
    const { status, json } = await ask(`POST ${BUILDS}/import?name=empty`, {
      body: Buffer.alloc(64 * KiB),
      headers: { 'content-type': 'application/octet-stream' },
    })
    assert.deepEqual([status, json.failure], [400, 'NO_OPERATING_SYSTEM'])
  })

  it('have parts, with their parameters; what they left is the operator’s matter', async () => {
    const { plugins } = (await ask('GET /ingot/v1/plugins')).json
    const mock = plugins.find((one: { name: string; type: string }) => one.name === 'mock')
    assert.ok(mock.options.properties.mock_size)
    assert.equal((await ask('GET /ingot/v1/leftovers')).status, 403)
    for (const line of ['GET /ingot/v1/leftovers', 'POST /ingot/v1/leftovers'])
      assert.deepEqual((await ask(line, { as: 'admin' })).json, { leftovers: [] })
  })
})
