/** Image Factory's API with clients of OAuth, asked by the library that Image Factory's own tests use. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runProcess } from '../src/base/process.ts'
import { PYTHON } from './interop/_clients.ts'
import { OAUTH_PROJECT } from '../src/access/identity/oauth1.ts'
import { openTestServer } from '../src/testing/test-service.ts'

const CLIENT = join(import.meta.dirname, 'interop/imagefactory-client.py')
const config = { factory: { oauth_clients: { 'mock-key': 'mock-secret' } } }
const has = await runProcess([PYTHON, '-c', 'import requests, requests_oauthlib'])
const skip = has.code !== 0 && 'needs python3-requests and python3-requests-oauthlib'

describe('Image Factory’s API with clients of OAuth', () => {
  it(
    'is used by clients that sign, from the first image to the last deletion',
    { skip },
    async () => {
      await using server = await openTestServer({ config })
      const ran = await runProcess([PYTHON, CLIENT, `${server.url}/imagefactory`])
      assert.equal(ran.code, 0, ran.stderr.toString())
      assert.deepEqual(JSON.parse(ran.stdout.toString()), [
        ['base_image', 'COMPLETE'],
        ['target_image', 'COMPLETE'],
        ['provider_image', 'COMPLETE'],
        ['form', 202],
        ['DELETE', 204],
        ['DELETE', 204],
        ['DELETE', 204],
        ['unsigned', 401],
        ['wrong', 401],
        ['version', '2.0'],
      ])
      const [left] = await server.service.factory.list({ owner: OAUTH_PROJECT, type: 'base' })
      assert.equal(left?.userId, 'mock-key')
    },
  )

  it('takes no tokens, and says how to sign', async () => {
    await using server = await openTestServer({ config })
    const { status, headers, json } = await server.ask('GET /imagefactory/base_images')
    assert.equal(status, 401)
    assert.equal(headers['www-authenticate'], 'OAuth realm="imagefactory"')
    assert.match(json.message, /OAuth/)
    assert.equal((await server.ask('GET /imagefactory', { as: null })).status, 200)
  })
})
