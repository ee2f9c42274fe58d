/**
 * Image Factory's REST API v2, byte by byte: what its own daemon answered, with its mock plugins, is what is expected
 * here; where it answered 500 for mistakes of clients, what it meant.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { KiB } from '../src/base/units.ts'
import { openTestServer, type Question, type TestServer } from '../src/testing/test-service.ts'

const ROOT = '/imagefactory'
/** Bytes of what the mock builder makes. */
const SIZE = String(64 * KiB)
const tdl = (name: string, more = '<rootpw>password</rootpw>') =>
  `<template><name>${name}</name><os><name>MockOS_A</name><version>1</version><arch>x86_64</arch><install type='url'><url>http://mirror.example/os/</url></install>${more}</os><description>Tests</description></template>`

let server: TestServer
before(async () => {
  server = await openTestServer({ config: { factory: { require_root_password: true } } })
})
after(async () => await server[Symbol.asyncDispose]())

const ask = async (line: string, question?: Question) => {
  const [method, path] = line.split(' ')
  return await server.ask(`${method} ${ROOT}${path}`, question)
}

const href = (path: string) => `${server.url}${ROOT}/${path}`
const item = (type: string, member: string, id: string) => ({
  [member]: { _type: type, id, href: href(`${member}s/${id}`) },
})

/** Asks until the image has ended, as clients do. */
async function ended(member: string, id: string) {
  for (;;) {
    const { json } = await ask(`GET /${member}s/${id}`)
    const image = json[member]
    if (['COMPLETE', 'FAILED'].includes(image.status)) return image
    await Array.fromAsync(server.service.factory.follow(id, AbortSignal.timeout(60_000)))
  }
}

async function build(member: string, fields: object, path = `/${member}s`) {
  const { status, text, json } = await ask(`POST ${path}`, { body: { [member]: fields } })
  assert.equal(status, 202, text)
  return await ended(member, json[member].id)
}

describe('Image Factory’s API', () => {
  it('tells its version to everybody', async () => {
    const { status, json } = await ask('GET ', { as: null })
    assert.deepEqual(
      [status, json],
      [200, { name: 'imagefactory', version: '1.1.16-1', api_version: '2.0' }],
    )
    assert.ok(Number(json.api_version) >= 2)
  })

  it('answers 202 with the whole record when an image is asked for, wrapped or flat', async () => {
    const template = tdl('shape')
    for (const body of [{ base_image: { template, parameters: { a: '1' } } }, { template }]) {
      const { status, json, headers } = await ask('POST /base_images', { body })
      assert.deepEqual([status, headers.location], [202, undefined])
      const { id, status_detail: detail, percent_complete: percent, ...rest } = json.base_image
      assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.deepEqual(Object.keys(detail), ['activity', 'error'])
      assert.equal(percent, 0)
      assert.deepEqual(rest, {
        _type: 'BaseImage',
        href: `${server.url}${ROOT}/base_images/${id}`,
        template,
        parameters: 'template' in body ? {} : { a: '1' },
        properties: {},
        icicle: null,
        status: 'NEW',
      })
      assert.equal((await ended('base_image', id)).status, 'COMPLETE')
    }
  })

  it('shows each type with what it was made of, and what was made of it', async () => {
    const base = await build('base_image', { template: tdl('kin') })
    const at = `/base_images/${base.id}/target_images`
    const target = await build('target_image', { target: 'mock' }, at)
    const below = `/target_images/${target.id}/provider_images`
    const pushed = await build(
      'provider_image',
      { target: 'mock', provider: 'mock-provider', credentials: '<a><b>c</b></a>' },
      below,
    )
    assert.match(base.icicle, /^<icicle>/)
    const shown = (await ask(`GET /base_images/${base.id}`)).json.base_image
    assert.equal(shown.href, href(`base_images/${base.id}`))
    const targets = [item('TargetImage', 'target_image', target.id)]
    assert.deepEqual(shown.target_images, { target_images: targets })
    assert.equal(shown.percent_complete, 100)
    assert.deepEqual(shown.status_detail.error, null)

    const own = (await ask(`GET /target_images/${target.id}`)).json.target_image
    assert.deepEqual(own.base_image, item('BaseImage', 'base_image', base.id)['base_image'])
    const providers = [item('ProviderImage', 'provider_image', pushed.id)]
    assert.deepEqual(own.provider_images, { provider_images: providers })
    assert.deepEqual([own.target, 'base_image_id' in own], ['mock', false])

    const last = (await ask(`GET /provider_images/${pushed.id}`)).json.provider_image
    assert.deepEqual(Object.keys(last).toSorted(), [
      '_type',
      'href',
      'icicle',
      'id',
      'identifier_on_provider',
      'parameters',
      'percent_complete',
      'properties',
      'provider',
      'provider_account_identifier',
      'status',
      'status_detail',
      'target_image',
      'template',
    ])
    const parent = item('TargetImage', 'target_image', target.id)['target_image']
    assert.deepEqual(last.target_image, parent)
    assert.equal(last.provider, 'mock-provider')
    assert.equal(last.provider_account_identifier, 'mock_user')
    assert.match(last.identifier_on_provider, /^[0-9a-f-]{36}$/)

    for (const path of [at, below, `${at}/${target.id}/provider_images`])
      assert.equal((await ask(`GET ${path}`)).status, 200, path)
    const nested = `${at}/${target.id}/provider_images/${pushed.id}`
    assert.equal((await ask(`GET ${nested}`)).json.provider_image.href, href(nested.slice(1)))
    assert.deepEqual((await ask(`GET ${at}`)).json, {
      target_images: [
        {
          target_image: {
            _type: 'TargetImage',
            id: target.id,
            href: href(`${at.slice(1)}/${target.id}`),
          },
        },
      ],
    })
    assert.equal((await ask(`GET /base_images/${base.id}/target_images/${pushed.id}`)).status, 404)
  })

  it('builds what comes before when the last stage is asked for by template', async () => {
    const fields = {
      target: 'mock',
      template: tdl('chain'),
      provider: '@anywhere',
      credentials: '{}',
    }
    const { json } = await ask('POST /provider_images', { body: { provider_image: fields } })
    const { id } = json.provider_image
    assert.match(json.provider_image.target_image_id, /^[0-9a-f-]{36}$/)
    const image = await ended('provider_image', id)
    assert.deepEqual([image.status, image.status_detail.error], ['COMPLETE', null])
  })

  it('takes forms as well as JSON', async () => {
    const fields = { template: tdl('form'), parameters: '{"generate_icicle":false}' }
    const urlencoded = new URLSearchParams(fields).toString()
    const form = new FormData()
    for (const [name, value] of Object.entries(fields)) form.append(name, value)
    const multipart = new Request('http://x/', { method: 'POST', body: form })
    const sent = [
      { type: 'application/x-www-form-urlencoded', body: urlencoded },
      {
        type: multipart.headers.get('content-type') ?? '',
        body: new Uint8Array(await multipart.arrayBuffer()),
      },
    ]
    for (const { type, body } of sent) {
      const { status, json, text } = await ask('POST /base_images', {
        body,
        headers: { 'content-type': type },
      })
      assert.equal(status, 202, text)
      assert.deepEqual(json.base_image.parameters, { generate_icicle: false })
      assert.equal(json.base_image.template, fields.template)
    }
  })

  it('makes an image that FAILED of a template with faults', async () => {
    const broken = tdl('broken').replace('<install', '<intall')
    for (const template of [broken, tdl('no-password', '')]) {
      const image = await build('base_image', { template })
      assert.equal(image.status, 'FAILED')
      assert.match(image.status_detail.error, /template/)
    }
    const target = await build('target_image', { target: 'mock', template: broken })
    assert.equal(target.status, 'FAILED')
  })

  it('answers mistakes with 400, 404 and 409 and says in JSON what is wrong, whatever is asked for', async () => {
    const nobody = '00000000-0000-4000-8000-000000000000'
    const base = await build('base_image', { template: tdl('mistakes') })
    const cases: [string, number, unknown?][] = [
      [`GET /base_images/${nobody}`, 404],
      ['GET /base_images/nonsense', 404],
      [`GET /target_images/${base.id}`, 404],
      ['GET /nothing_images', 404],
      ['POST /nothing_images', 404, {}],
      ['POST /base_images', 400],
      ['POST /base_images', 400, '{'],
      ['POST /base_images', 400, { base_image: {} }],
      ['POST /base_images', 400, { base_image: { template: 5 } }],
      ['POST /base_images', 400, { template: tdl('x'), parameters: [] }],
      ['POST /target_images', 400, { target_image: { target: 'mock' } }],
      ['POST /target_images', 400, { target_image: { template: tdl('x') } }],
      ['POST /target_images', 400, { target: 'no-such-cloud', template: tdl('x') }],
      ['POST /target_images', 404, { target: 'mock', base_image_id: nobody }],
      ['POST /provider_images', 404, { target: 'mock', provider: 'p', target_image_id: base.id }],
      ['POST /provider_images', 400, { target: 'mock', template: tdl('x') }],
      [`DELETE /base_images/${nobody}`, 404],
      [`PUT /base_images/${base.id}`, 405],
      [`GET /provider_images/${nobody}/raw_image`, 404],
    ]
    for (const [line, status, body] of cases) {
      const answer = await ask(line, { body })
      assert.equal(answer.status, status, `${line}: ${answer.text}`)
      assert.equal(typeof answer.json.message, 'string')
    }
    const failed = await build('base_image', { template: tdl('f', '') })
    const { status } = await ask(`POST /base_images/${failed.id}/target_images`, {
      body: { target: 'mock' },
    })
    assert.equal(status, 409)
    assert.equal((await ask(`GET /base_images/${failed.id}/raw_image`)).status, 409)
  })

  it('gives the body as an attachment, whole or in parts', async () => {
    const base = await build('base_image', { template: tdl('body') })
    const path = `/base_images/${base.id}/raw_image`
    const whole = await ask(`GET ${path}`)
    assert.deepEqual([whole.status, whole.headers['content-length']], [200, SIZE])
    assert.match(String(whole.headers['content-disposition']), /^attachment; filename="body.*"/)
    const part = await ask(`GET ${path}`, { headers: { range: 'bytes=0-3' } })
    assert.deepEqual([part.status, part.text], [206, 'Mock'])
    const head = await ask(`HEAD ${path}`)
    assert.deepEqual([head.status, head.headers['content-length']], [200, SIZE])
    const target = await build('target_image', { target: 'mock', base_image_id: base.id })
    const nested = `/base_images/${base.id}/target_images/${target.id}/raw_image`
    assert.equal((await ask(`GET ${nested}`)).status, 200)
  })

  it('deletes images: 204 at once, and they are gone', async () => {
    const target = await build('target_image', { target: 'mock', template: tdl('gone') })
    const fields = { target: 'mock', provider: 'p', credentials: '{}' }
    const pushed = await build('provider_image', { ...fields, target_image_id: target.id })
    const base = target.base_image
    for (const [path, body] of [
      [`/provider_images/${pushed.id}`, { provider_image: fields }],
      [`/target_images/${target.id}`],
      [`/base_images/${base.id}`],
    ] as const) {
      const { status, text } = await ask(`DELETE ${path}`, { body })
      assert.deepEqual([status, text], [204, ''], path)
      const id = path.split('/').at(-1) ?? ''
      const follow = server.service.factory.follow(id, AbortSignal.timeout(60_000))
      await Array.fromAsync(follow).catch(() => {})
      assert.equal((await ask(`GET ${path}`)).status, 404)
    }
    const { json } = await ask('GET /base_images')
    assert.ok(!JSON.stringify(json).includes(base.id))
  })

  it('lists plugins, and has no more of JEOS and targets than its own', async () => {
    const { plugins } = (await ask('GET /plugins')).json
    const mock = plugins.find((one: { id: string }) => one.id === 'cloud-mock')
    assert.deepEqual(Object.keys(mock).toSorted(), [
      '_type',
      'description',
      'href',
      'id',
      'license',
      'maintainer',
      'targets',
      'type',
      'version',
    ])
    assert.deepEqual([mock['_type'], mock.type, mock.targets[0]], ['plugin', 'cloud', ['mock']])
    assert.deepEqual((await ask('GET /plugins/cloud-mock')).json, mock)
    assert.equal((await ask('GET /plugins/nothing')).status, 404)
    assert.equal((await ask('GET /jeos/images')).status, 200)
    for (const path of ['/targets', '/targets/mock', '/jeos/images/1'])
      assert.equal((await ask(`GET ${path}`, { as: null })).status, 501)
  })

  it('answers in JSON to those who take it, and 406 to others', async () => {
    for (const [accept, status] of [
      ['application/json', 200],
      ['*/*', 200],
      ['text/html,*/*;q=0.1', 200],
      ['application/xml', 406],
      ['text/plain', 406],
    ] as const)
      assert.equal((await ask('GET /base_images', { headers: { accept } })).status, status, accept)
  })

  it('asks who it is, as all else does, while no clients of OAuth are configured', async () => {
    const { status, headers } = await ask('GET /base_images', { as: null })
    assert.equal(status, 401)
    assert.match(String(headers['www-authenticate']), /^Keystone/)
    const mine = (await ask('POST /base_images', { as: 'alice', body: { template: tdl('mine') } }))
      .json
    const { id } = mine.base_image
    assert.equal((await ask(`GET /base_images/${id}`, { as: 'reader' })).status, 200)
    assert.equal((await ask(`GET /base_images/${id}`, { as: 'bob' })).status, 404)
    assert.equal((await ask(`DELETE /base_images/${id}`, { as: 'reader' })).status, 403)
    assert.deepEqual((await ask('GET /base_images', { as: 'bob' })).json, { base_images: [] })
    const given = { target: 'mock', template: tdl('x'), provider: '{"a":"b"}', credentials: '{}' }
    assert.equal((await ask('POST /provider_images', { as: 'alice', body: given })).status, 403)
  })
})
