import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, suite, test } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../../testing/fails-with.ts'
import { endServer, listen } from '../../testing/listen.ts'
import { openRegistry, parseChallenge, type RegistryPlace } from './_registry.ts'

/** Who asks for what, and what a server answers. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void

const serve = async (answer: Answer) => {
  const asked: { line: string; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    const { method, url, headers } = request
    asked.push({ line: `${method} ${url}`, authorization: headers.authorization })
    request.resume().on('end', () => answer(request, response))
  })
  const url = await listen(server)
  after(async () => await endServer(server))
  return { url, host: url.replace('http://', ''), asked }
}
const place = (host: string): RegistryPlace => ({
  host,
  plainHttp: true,
  insecure: false,
  username: 'ann',
  password: 'pa55',
})
const digest = `sha256:${'0'.repeat(64)}`
const signal = new AbortController().signal

suite('the client of registries', async () => {
  const tokens = await serve((_request, response) =>
    response.end(JSON.stringify({ token: 'abc', expires_in: 60 })),
  )
  const elsewhere = await serve((_request, response) => response.writeHead(202).end())
  const registry = await serve(({ headers, method, url = '' }, response) => {
    if (headers.authorization !== 'Bearer abc') {
      const challenge = `Bearer realm="${tokens.url}/token",service="reg",scope="repository:a/b:pull,push"`
      return response.writeHead(401, { 'www-authenticate': challenge }).end('{"errors":[]}')
    }
    if (method === 'POST') return response.writeHead(202, { location: `${elsewhere.url}/up` }).end()
    if (url.includes('manifests'))
      return response
        .writeHead(405)
        .end(
          '{"errors":[{"code":"UNSUPPORTED","message":"The operation is\\u001b[31m unsupported"}]}',
        )
    return response.writeHead(404).end()
  })

  test('gets a token by its password, for what it is about to do, and uses it again', async () => {
    await using client = openRegistry(place(registry.host), signal)
    assert.equal(await client.hasBlob('a/b', digest), false)
    assert.equal(await client.hasBlob('a/b', digest), false)
    assert.deepEqual(tokens.asked, [
      {
        line: 'GET /token?service=reg&scope=repository%3Aa%2Fb%3Apull%2Cpush',
        authorization: `Basic ${Buffer.from('ann:pa55').toString('base64')}`,
      },
    ])
  })

  test('knows a blob that the registry keeps elsewhere', async () => {
    const away = await serve((_request, response) =>
      response.writeHead(307, { location: `${elsewhere.url}/blob` }).end(),
    )
    await using client = openRegistry(place(away.host), signal)
    assert.equal(await client.hasBlob('a/b', digest), true)
    assert.equal(elsewhere.asked.length, 0)
  })

  test('shows its token to nobody else, where an upload goes on elsewhere', async () => {
    await using client = openRegistry(place(registry.host), signal)
    const upload = await client.beginUpload('a/b')
    const stream = (async function* () {
      yield Buffer.from('x')
    })()
    await assert.rejects(async () => await client.sendBlob(upload, digest, { stream, size: 1 }))
    assert.ok(elsewhere.asked.length > 0)
    assert.ok(elsewhere.asked.every(({ authorization }) => authorization === undefined))
  })

  test('tells why something is refused, in one line without control characters', async () => {
    await using client = openRegistry(place(registry.host), signal)
    await assert.rejects(
      async () => await client.deleteManifest('a/b', digest),
      (error: Error) => {
        assert.match(error.message, /answers 405 .*: The operation is \[31m unsupported$/)
        return failsWith('CLOUD_DENIED')(error)
      },
    )
  })

  test('gives no password where TLS was asked for and a token would be got without', async () => {
    const server = await serve((_request, response) => {
      const challenge = 'Basic realm="x"'
      response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    await using client = openRegistry({ ...place(server.host), username: undefined }, signal)
    await assert.rejects(async () => await client.hasBlob('a', digest), failsWith('CLOUD_DENIED'))
  })

  test('a challenge of any text is read without a failure', () => {
    assert.deepEqual(parseChallenge('Bearer realm="https://a/b",scope="x:y"'), {
      scheme: 'bearer',
      fields: { realm: 'https://a/b', scope: 'x:y' },
    })
    fc.assert(fc.property(fc.string(), (text) => typeof parseChallenge(text).scheme === 'string'))
  })
})
