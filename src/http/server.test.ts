import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { after, describe, it } from 'node:test'
import { openTestServer } from '../testing/test-service.ts'

const server = await openTestServer()
after(() => server[Symbol.asyncDispose]())
const { ask, port } = server
const none = '00000000-0000-4000-8000-000000000000'

const ids = (json: { versions: { id: string }[] }) => json.versions.map(({ id }) => id)

async function hrefOf(headers: Record<string, string>): Promise<string> {
  return (await ask('GET /versions', { headers })).json.versions[0].links[0].href
}

describe('versions', () => {
  it('are listed at /versions, and as a choice at / and wherever there is nothing', async () => {
    const { status, json } = await ask('GET /versions', { as: null })
    assert.equal(status, 200)
    assert.deepEqual(json.versions[0], {
      id: 'v2.17',
      status: 'CURRENT',
      links: [{ rel: 'self', href: `${server.url}/v2/` }],
    })
    const rest = json.versions.slice(1)
    assert.ok(rest.every((version: { status: string }) => version.status === 'SUPPORTED'))
    assert.equal(rest.at(-1).id, 'v2.0')
    for (const path of ['/', '/v1/images', '/v3', '/v2.19/images', '/somewhere/else'])
      assert.deepEqual((await ask(`GET ${path}`, { as: null })).status, 300, path)
  })

  it('have those that need a cache where there is one, and none of them where there is not', async () => {
    assert.ok(!ids((await ask('GET /versions')).json).includes('v2.16'))
    await using cached = await openTestServer({ config: { cache: { enabled: true } } })
    const { json } = await cached.ask('GET /versions')
    assert.equal(ids(json)[0], 'v2.18')
    assert.equal(ids(json).length, 19)
  })

  it('name the host as the client, or the proxy before us, called it', async () => {
    assert.equal(await hrefOf({ host: 'images.test:9292' }), 'http://images.test:9292/v2/')
    const proxied = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'images.test, inner' }
    assert.equal(await hrefOf(proxied), 'https://images.test/v2/')
    assert.equal(await hrefOf({ 'x-forwarded-host': '"><script>' }), `${server.url}/v2/`)
    await using named = await openTestServer({ config: { public_endpoint: 'https://pub.test/' } })
    const { json } = await named.ask('GET /versions')
    assert.equal(json.versions[0].links[0].href, 'https://pub.test/v2/')
  })

  it('are all the same API, named in the path or by the media type', async () => {
    for (const prefix of ['/v2', '/v2.0', '/v2.9', '/v2.18'])
      assert.equal((await ask(`GET ${prefix}/images`)).status, 200, prefix)
    const headers = { accept: 'application/vnd.openstack.images-v2.5' }
    assert.equal((await ask('GET /images', { headers })).status, 200)
    assert.equal((await ask('GET /images')).status, 300)
  })

  it('have nothing at their root', async () => {
    for (const path of ['/v2', '/v2/', '/v2.3/', '/v2/nothing'])
      assert.equal((await ask(`GET ${path}`)).status, 404, path)
  })
})

describe('a request', () => {
  it('that uses another method is told which there are', async () => {
    const { status, headers } = await ask(`PUT /v2/images/${none}`)
    assert.equal(status, 405)
    assert.equal(headers['allow'], 'DELETE, GET, HEAD, PATCH')
    assert.equal((await ask('DELETE /v2/images')).headers['allow'], 'GET, HEAD, POST')
    assert.equal((await ask('TRACE /v2/images')).status, 405)
  })

  it('is given an id of its own, whatever comes of it', async () => {
    const ids = await Promise.all(
      ['GET /v2/images', `GET /v2/images/${none}`, 'GET /v2/', 'GET /'].map(
        async (line) => (await ask(line)).headers['x-openstack-request-id'],
      ),
    )
    for (const id of ids) assert.match(String(id), /^req-[0-9a-f-]{36}$/)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('is told to the log with its id, and with that of the service which asked for another', async () => {
    const events: { event: string; fields: Record<string, unknown> }[] = []
    const keep = (event: string, fields = {}) => void events.push({ event, fields })
    const log = { debug: keep, info: keep, warn: keep, error: keep }
    await using logged = await openTestServer({ context: { log } })
    const globalId = `req-${none}`
    const { headers } = await logged.ask('GET /v2/images', {
      headers: { 'x-openstack-request-id': globalId },
    })
    await logged.ask('GET /v2/images', { headers: { 'x-openstack-request-id': 'req-forged' } })
    const told = events.filter(({ event }) => event === 'http.answered').map(({ fields }) => fields)
    assert.equal(told[0]?.['requestId'], headers['x-openstack-request-id'])
    assert.deepEqual([told[0]?.['globalId'], told[1]?.['globalId']], [globalId, undefined])
    assert.deepEqual([told[0]?.['status'], told[0]?.['method']], [200, 'GET'])
  })

  it('without a valid token is refused, and told where tokens are given', async () => {
    for (const as of [null, 'stranger']) {
      const { status, headers } = await ask('GET /v2/images', { as })
      assert.equal(status, 401)
      assert.equal(headers['www-authenticate'], 'Keystone uri="http://keystone.test/v3"')
    }
  })

  it('to read something takes no body', async () => {
    assert.equal((await ask('GET /v2/images', { body: {} })).status, 400)
    assert.equal((await ask('GET /v2/images', { body: '' })).status, 200)
  })

  it('can be asked for its head alone', async () => {
    const { status, headers, text } = await ask('HEAD /v2/schemas/image')
    assert.deepEqual([status, text], [200, ''])
    assert.ok(Number(headers['content-length']) > 1000)
  })

  it('with an address that cannot be decoded is refused', async () => {
    assert.equal((await ask('GET /v2/images/%E0%A4%A')).status, 400)
  })
})

const refusalFor = async (accept: string) =>
  await ask(`GET /v2/images/${none}`, { headers: { accept } })

describe('a refusal', () => {
  it('is JSON for those who take it', async () => {
    const { status, json, headers } = await refusalFor('application/json')
    assert.equal(status, 404)
    assert.match(String(headers['content-type']), /^application\/json/)
    assert.deepEqual(json, {
      message: `No image found with ID ${none}`,
      code: '404 Not Found',
      title: 'Not Found',
      failure: 'IMAGE_NOT_FOUND',
    })
  })

  it('is a page for those who take anything, and text for those who want text', async () => {
    const page = await refusalFor('*/*')
    assert.match(String(page.headers['content-type']), /^text\/html/)
    assert.match(page.text, /<title>404 Not Found<\/title>[^]*No image found with ID/)
    const plain = await refusalFor('text/plain')
    assert.equal(plain.text, `404 Not Found\n\nNo image found with ID ${none}\n`)
    assert.match((await refusalFor('image/png')).text, /^404 Not Found\n/)
  })

  it('does not carry what a page would take for markup', async () => {
    const { text } = await ask('GET /v2/images?sort_key=<script>', { headers: { accept: '*/*' } })
    assert.match(text, /&lt;script&gt;/)
    assert.ok(!text.includes('<script>'))
  })

  it('is text when too much was asked for, whoever asks', async () => {
    const tags = Array.from({ length: 129 }, (_, index) => `tag ${index}`)
    const { status, headers } = await ask('POST /v2/images', { body: { tags } })
    assert.equal(status, 413)
    assert.match(String(headers['content-type']), /^text\/plain/)
  })

  it('says nothing of a bug but that there was one, and the log says the rest', async () => {
    const events: unknown[] = []
    const log = {
      debug() {},
      info() {},
      warn() {},
      error: (...event: unknown[]) => events.push(event),
    }
    await using broken = await openTestServer({ context: { log } })
    broken.service.catalog.get = async () => {
      throw new TypeError('secret of the house')
    }
    const { status, text } = await broken.ask(`GET /v2/images/${none}`)
    assert.equal(status, 500)
    assert.ok(!text.includes('secret'))
    assert.match(JSON.stringify(events), /secret of the house/)
  })
})

/** Speaks to the server in so many words. */
async function dial(): Promise<Socket & { heard(until?: RegExp): Promise<string> }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const said: Buffer[] = []
  socket.on('data', (bytes: Buffer) => said.push(bytes))
  const heard = async (until?: RegExp): Promise<string> => {
    const text = Buffer.concat(said).toString()
    if (socket.readableEnded || socket.destroyed || until?.test(text)) return text
    await Promise.race(['data', 'end', 'close'].map((event) => once(socket, event)))
    return await heard(until)
  }
  return Object.assign(socket, { heard })
}

const head = (line: string, ...headers: string[]) =>
  [`${line} HTTP/1.1`, 'Host: x', 'X-Auth-Token: alice', ...headers, '', ''].join('\r\n')

describe('a body that nobody wanted', () => {
  it('does not keep the refusal from who sends it all before reading', async () => {
    const socket = await dial()
    const length = 64 * 1024 * 1024
    socket.write(head(`PATCH /v2/images/${none}`, `Content-Length: ${length}`))
    const part = Buffer.alloc(1024 * 1024)
    for (let sent = 0; sent < length; sent += part.length)
      if (!socket.write(part)) await once(socket, 'drain')
    const answer = await socket.heard()
    assert.match(answer, /^HTTP\/1\.1 404 /)
    assert.match(answer, /connection: close/i)
    socket.destroy()
  })

  it('is refused before it is asked for, where the client waits to be told to go on', async () => {
    const socket = await dial()
    const expects = ['Content-Length: 1000', 'Expect: 100-continue', 'Connection: close']
    socket.write(head(`PATCH /v2/images/${none}`, ...expects))
    const answer = await socket.heard(/\r\n\r\n[^]+/)
    assert.match(answer, /^HTTP\/1\.1 404 /)
    socket.destroy()
  })

  it('is asked for when it is wanted', async () => {
    const socket = await dial()
    const body = '{"name":"waited"}'
    const expects = [`Content-Length: ${body.length}`, 'Expect: 100-continue']
    socket.write(head('POST /v2/images', ...expects))
    assert.match(await socket.heard(/\r\n\r\n/), /^HTTP\/1\.1 100 /)
    socket.write(body)
    assert.match(await socket.heard(/"schema"/), /HTTP\/1\.1 201 /)
    socket.destroy()
  })

  it('of a few bytes leaves the connection as it is', async () => {
    const socket = await dial()
    socket.write(`${head(`PATCH /v2/images/${none}`, 'Content-Length: 2')}[]`)
    socket.write(head('GET /v2/images/x'))
    const answers = await socket.heard(/404 Not Found[^]*HTTP\/1\.1 404 Not Found/)
    assert.equal(answers.match(/HTTP\/1\.1 404/g)?.length, 2)
    socket.destroy()
  })
})

describe('a body that is packed for its way', () => {
  it('is refused, since nobody means it to be kept so', async () => {
    const body = '{"name":"packed"}'
    for (const [header, status] of [
      ['Transfer-Encoding: gzip, chunked', 400],
      ['Content-Encoding: gzip', 415],
    ] as const) {
      const socket = await dial()
      const length = header.startsWith('T') ? [] : [`Content-Length: ${body.length}`]
      const bytes =
        length.length === 0 ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body
      socket.write(head('POST /v2/images', header, ...length, 'Connection: close') + bytes)
      assert.match(await socket.heard(), new RegExp(`^HTTP/1\\.1 ${status} `))
      socket.destroy()
    }
  })
})

describe('a client that means no good', () => {
  it('sends more headers than anybody reads, and is cut off', async () => {
    const socket = await dial()
    socket.on('error', () => {})
    socket.write(`GET /v2/images HTTP/1.1\r\nHost: x\r\n`)
    const many = Array.from({ length: 10_000 }, (_, index) => `X-${index}: y`).join('\r\n')
    socket.write(`${many}\r\n\r\n`)
    assert.match(await socket.heard(), /^HTTP\/1\.1 431 /)
  })

  it('speaks no HTTP, and is told so', async () => {
    const socket = await dial()
    socket.write('HELO there\r\n\r\n')
    assert.match(await socket.heard(), /^HTTP\/1\.1 400 /)
  })

  it('leaves in the middle of a body, and nobody minds', async () => {
    const socket = await dial()
    socket.write(`${head('POST /v2/images', 'Content-Length: 100')}{"name":`)
    socket.destroy()
    assert.equal((await ask('GET /healthcheck', { as: null })).text, 'OK')
  })
})

describe('a server that closes', () => {
  it('answers what it was asked, and ends the connection then', async () => {
    const closing = await openTestServer()
    const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>()
    const { promise: goOn, resolve: letGoOn } = Promise.withResolvers<void>()
    const { get } = closing.service.catalog
    closing.service.catalog.get = async (...args) => {
      wasAsked()
      await goOn
      return await get.apply(closing.service.catalog, args)
    }
    const answer = closing.ask(`GET /v2/images/${none}`)
    await asked
    const closed = closing.app.close()
    while (closing.app.server.listening) await nextTurn()
    letGoOn()
    const { status, headers } = await answer
    assert.deepEqual([status, headers['connection']], [404, 'close'])
    await closed
    await closing[Symbol.asyncDispose]()
  })
})

describe('what the server tells of itself', () => {
  it('is whether it lives', async () => {
    const { status, text } = await ask('GET /healthcheck', { as: null })
    assert.deepEqual([status, text], [200, 'OK'])
  })

  it('is what it has answered, by route and status', async () => {
    await ask(`GET /v2/images/${none}`)
    await ask('POST /v2/images', { body: {} })
    const { status, text } = await ask('GET /metrics', { as: null })
    assert.equal(status, 200)
    assert.match(
      text,
      /^ingot_http_request_duration_seconds_count\{method="GET",route="\/v2\/images\/:image_id",status="404"\} \d+$/m,
    )
    assert.match(text, /^ingot_http_requests_in_flight [1-9]$/m)
    assert.match(text, /^ingot_http_received_bytes_total [1-9]/m)
    assert.match(text, /^ingot_images\{status="queued",visibility="shared"\} \d+$/m)
  })

  it('is every route, as OpenAPI', async () => {
    const { json } = await ask('GET /openapi.json', { as: null })
    assert.match(json.openapi, /^3\.1/)
    const methods = Object.keys(json.paths['/v2/images/{image_id}'])
    assert.deepEqual(methods.toSorted(), ['delete', 'get', 'patch'])
  })
})
