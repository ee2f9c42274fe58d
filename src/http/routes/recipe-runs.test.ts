import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { openTestServer, type TestServer } from '../../testing/test-service.ts'

const NOBODY = '00000000-0000-4000-8000-000000000000'
const RECIPE = 'name: hello\nvalidators:\n  - script: {hello.sh: {}}\n'

let server: TestServer
before(async () => {
  server = await openTestServer()
})
after(async () => await server[Symbol.asyncDispose]())

const check = async (body: object) =>
  await server.ask('POST /ingot/v1/recipes/check', { as: 'reader', body })

describe('recipes behind the API', () => {
  it('are checked, with the files that they name; every fault has its place', async () => {
    const tdl = '<template><name>x</name></template>'
    const { status, json } = await check({ template: tdl })
    assert.deepEqual([status, json.valid], [200, false])
    assert.ok(json.faults.length > 0)
    for (const fault of json.faults) assert.equal(typeof fault.line, 'number')
    assert.equal((await check({})).status, 400)
    assert.equal((await check({ template: RECIPE, files: { 'hello.sh': '?' } })).status, 400)
    const files = { 'hello.sh': Buffer.from('#!/bin/sh\ntrue\n').toString('base64') }
    const good = await check({ template: RECIPE, files })
    assert.deepEqual([good.json.valid, good.json.name], [true, 'hello'], good.text)
  })

  it('run on images that the caller has, and on hosts for administrators only', async () => {
    const cases: [string, object, number, string?][] = [
      ['pack', { template: RECIPE, image_id: NOBODY }, 404],
      ['pack', { template: RECIPE }, 400],
      ['validate', { template: RECIPE }, 400],
      ['validate', { template: RECIPE, hosts: ['h'], user: 'u' }, 403],
      ['provision', { template: RECIPE, hosts: ['h'], user: 'u' }, 403],
      ['provision', { template: RECIPE, hosts: ['h'], user: 'u' }, 400, 'admin'],
      ['pack', { template: RECIPE, image_id: NOBODY, nonsense: 1 }, 400],
    ]
    for (const [what, body, status, as = 'alice'] of cases) {
      const answer = await server.ask(`POST /ingot/v1/recipes/${what}`, { as, body })
      assert.equal(answer.status, status, `${what} ${JSON.stringify(body)}: ${answer.text}`)
    }
  })

  it('are listed for their project only; who has none sees none', async () => {
    const callers = { stray: { project: null, roles: ['reader'] } }
    await using lenient = await openTestServer({ callers, rules: { factory_get: 'role:reader' } })
    await lenient.service.recipeRuns.validate({
      requester: { owner: 'p-alice', userId: 'alice', requestId: 'req-1' },
      recipe: { text: 'name: hello\nvalidators: [package: [bash]]\n' },
      args: {},
      hosts: ['127.0.0.1:1'],
      user: 'root',
      privateKey: '-----BEGIN OPENSSH PRIVATE KEY-----\n',
      knownHosts: 'x',
    })
    for (const [as, count] of [
      ['alice', 1],
      ['admin', 1],
      ['bob', 0],
      ['stray', 0],
    ] as const) {
      const { json } = await lenient.ask('GET /ingot/v1/recipe-runs', { as })
      assert.equal(json.runs.length, count, as)
    }
  })

  it('that were never run are not there', async () => {
    for (const line of ['GET', 'POST'] as const) {
      const end = line === 'POST' ? '/cancel' : ''
      const { status } = await server.ask(`${line} /ingot/v1/recipe-runs/${NOBODY}${end}`)
      assert.equal(status, 404)
    }
    assert.equal((await server.ask('GET /ingot/v1/recipe-runs/nonsense/events')).status, 404)
    assert.deepEqual((await server.ask('GET /ingot/v1/recipe-runs', { as: 'alice' })).json, {
      runs: [],
    })
  })
})
