import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { FailureCode } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openWebServer } from '../testing/web-server.ts'
import { askRest, askToRemove } from './ask-rest.ts'
import { openCloudHttp } from './cloud-http.ts'

suite('questions to a cloud that speaks JSON', async () => {
  const answers: { status: number; body?: string }[] = []
  const web = await openWebServer({
    '/x': (_request, response) => {
      const { status, body = '{"ok":true}' } = answers.shift() ?? { status: 200 }
      response.writeHead(status).end(body)
    },
  })
  const http = openCloudHttp()
  after(async () => {
    await http[Symbol.asyncDispose]()
    await web[Symbol.asyncDispose]()
  })
  const rest = { http, name: 'cloud', authorization: async () => ({}), retries: 2, delayMs: 1 }
  const { signal } = new AbortController()
  /** How often it was asked. */
  const ask = async (method: string, ...statuses: number[]) => {
    answers.splice(0, Infinity, ...statuses.map((status) => ({ status })))
    const before = web.asked.length
    await askRest(rest, { method, url: `${web.url}/x`, signal })
    return web.asked.length - before
  }

  test('are asked again when the cloud cannot answer now, but not for ever', async () => {
    assert.equal(await ask('GET', 503, 500), 3)
    await assert.rejects(ask('GET', 503, 503, 503), failsWith('CLOUD_AWAY'))
  })

  test('are asked once if twice is not the same, unless they were not even looked at', async () => {
    await assert.rejects(ask('POST', 503), failsWith('CLOUD_AWAY'))
    assert.equal(await ask('POST', 429), 2)
  })

  test('are asked once if what they send streams, for it is gone then', async () => {
    answers.splice(0, Infinity, { status: 429 })
    const content = (async function* () {
      yield Buffer.from('x')
    })()
    const question = { method: 'PUT', url: `${web.url}/x`, stream: { content, size: 1 }, signal }
    await assert.rejects(askRest(rest, question), failsWith('CLOUD_AWAY'))
  })

  const refusals: readonly (readonly [number, string, FailureCode])[] = [
    [401, '{}', 'CLOUD_DENIED'],
    [404, 'a page', 'CLOUD_NOT_FOUND'],
    [403, '{"error":{"message":"Quota exceeded"}}', 'CLOUD_FULL'],
    [409, '{"detail":"there is one"}', 'CLOUD_FAILED'],
  ]
  for (const [status, body, code] of refusals)
    test(`that are answered by ${status} ${body} fail with ${code}`, async () => {
      answers.splice(0, Infinity, { status, body })
      await assert.rejects(askRest(rest, { url: `${web.url}/x`, signal }), failsWith(code))
    })

  test('to remove what is gone have their answer', async () => {
    answers.splice(0, Infinity, { status: 404 })
    assert.equal(await askToRemove(rest, { url: `${web.url}/x`, signal }), undefined)
  })

  test('fail with CLOUD_AWAY when nobody is there', async () => {
    const nobody = { url: 'http://127.0.0.1:1/x', signal }
    await assert.rejects(askRest({ ...rest, retries: 0 }, nobody), failsWith('CLOUD_AWAY'))
  })
})
