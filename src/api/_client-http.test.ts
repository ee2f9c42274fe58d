import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openClientHttp } from './_client-http.ts'

/** What servers answer, each below a path of its own. */
const REFUSALS: Readonly<Record<string, [status: number, type: string, body: string]>> = {
  '/ingot': [
    507,
    'application/json',
    JSON.stringify({
      message: 'store file is full. Free some.',
      code: '507 Insufficient Storage',
      failure: 'NO_SPACE',
      fix: 'Free some.',
    }),
  ],
  '/glance': [409, 'application/json', '{"message": "it is protected", "code": "409 Conflict"}'],
  '/page': [
    404,
    'text/html',
    '<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1>No image x<br/></body></html>',
  ],
  '/text': [413, 'text/plain', '413 Payload Too Large\n\nthe quota is used up\n'],
  '/silent': [502, 'text/plain', ''],
}

const server = createServer((request, response) => {
  const [status, type, body] = REFUSALS[request.url ?? ''] ?? [500, 'text/plain', '']
  response.writeHead(status, { 'content-type': type }).end(body)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
after(() => server.close())

it('wants an address that it can speak to', () => {
  for (const endpoint of ['nonsense', 'ftp://127.0.0.1', 'http://'])
    assert.throws(() => openClientHttp({ endpoint }, makeContext({})), /wanted an address of http/)
})

describe('a refusal', () => {
  for (const [path, code, message] of [
    ['/ingot', 'NO_SPACE', 'store file is full'],
    ['/glance', 'IMAGE_STATE', 'it is protected'],
    ['/page', 'IMAGE_NOT_FOUND', 'No image x'],
    ['/text', 'LIMIT_EXCEEDED', 'the quota is used up'],
    ['/silent', 'REMOTE_UNREACHABLE', 'the server answers 502'],
  ] as const)
    it(`is told without its wrapping: ${path.slice(1)}`, async () => {
      const { port } = server.address() as AddressInfo
      await using http = openClientHttp({ endpoint: `http://127.0.0.1:${port}` }, makeContext({}))
      await assert.rejects(http.send({ method: 'GET', path }), (error) => {
        assert.ok(error instanceof Failure)
        assert.deepEqual([error.code, error.message], [code, message])
        if (path === '/ingot') assert.equal(error.fix, 'Free some.')
        return true
      })
    })
})
