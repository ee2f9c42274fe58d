import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { describe, it } from 'node:test'
import { Failure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { anyAddress, baseOrder, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openWebServer } from '../../testing/web-server.ts'
import type { Bodies } from './factory-parts.ts'

const at = await tempDir()

/** A page that takes what is PUT, and answers as told; `heard` says when there were so many. */
function listener(answers: readonly number[] = []) {
  const calls: { method: string; authorization: string | undefined; body: unknown }[] = []
  let wake: (() => void) | undefined
  const page: RequestListener = (request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const { method = '', headers } = request
      calls.push({ method, authorization: headers.authorization, body: JSON.parse(text) })
      response.writeHead(answers[calls.length - 1] ?? 200).end()
      wake?.()
    })
  }
  const heard = async (count: number) => {
    while (calls.length < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { page, calls, heard }
}

const nothingThere = async () => assert.fail('nobody asks for this')

function statusOf({ body }: { body: unknown }): unknown {
  return (body as { base_image: { status: string } }).base_image.status
}

describe('callbacks', () => {
  it('are told of every status, in order', async () => {
    const { page, calls, heard } = listener()
    await using server = await openWebServer({ '/told': page })
    await using bench = await openTestFactory({ directory: at('told') })
    const order = baseOrder({ callbacks: [`${server.url}/told`, 'debug'] })
    await bench.ended(await bench.factory.orderBase(order))
    await heard(2)
    assert.deepEqual(calls.map(statusOf), ['BUILDING', 'COMPLETE'])
    assert.equal(calls[0]?.method, 'PUT')
    assert.match(JSON.stringify(calls[1]?.body), /"icicle":"<icicle>/)
  })

  it('may ask for a password, which is shown nowhere', async () => {
    const { page, calls, heard } = listener()
    await using server = await openWebServer({ '/told': page })
    await using bench = await openTestFactory({ directory: at('password') })
    const url = `${server.url.replace('://', '://me:very-secret@')}/told`
    const image = await bench.ended(await bench.factory.orderBase(baseOrder({ callbacks: [url] })))
    await heard(2)
    const wanted = `Basic ${Buffer.from('me:very-secret').toString('base64')}`
    assert.deepEqual(new Set(calls.map((call) => call.authorization)), new Set([wanted]))
    assert.ok(!JSON.stringify(image).includes('very-secret'))
    assert.ok(!JSON.stringify(await bench.factory.readLog(image.id)).includes('very-secret'))
  })

  it('are told of an image that was taken in, and of one whose template has faults', async () => {
    const { page, calls, heard } = listener()
    await using server = await openWebServer({ '/told': page })
    const url = `${server.url.replace('://', '://me:very-secret@')}/told`
    const parameters = { callbacks: [url] }
    const bodies: Bodies = {
      store: nothingThere,
      fit: nothingThere,
      openDisk: nothingThere,
      remove: async () => {},
      importImage: async (_order, bodyId) => ({
        bodyId,
        documents: {},
        name: 'given',
        template: null,
      }),
    }
    await using bench = await openTestFactory({ directory: at('at-once'), bodies })
    const content = (async function* () {})()
    await bench.factory.importBase({ requester: REQUESTER, content, parameters })
    await heard(1)
    const template = { text: '<template/>' }
    await bench.factory.orderBase({
      ...baseOrder(parameters),
      template,
      invalidTemplate: 'fail',
    })
    await heard(2)
    assert.deepEqual(calls.map(statusOf), ['COMPLETE', 'FAILED'])
    assert.ok(calls.every(({ authorization }) => authorization?.startsWith('Basic ')))
  })

  it('are tried again when the server fails, and told in the log', async () => {
    const { page, calls, heard } = listener([503, 200, 200])
    await using server = await openWebServer({ '/told': page })
    await using bench = await openTestFactory({ directory: at('again') })
    const order = baseOrder({ callbacks: [`${server.url}/told`] })
    const image = await bench.ended(await bench.factory.orderBase(order))
    await heard(3)
    assert.deepEqual(calls.map(statusOf), ['BUILDING', 'BUILDING', 'COMPLETE'])
    const log = await bench.factory.readLog(image.id)
    assert.ok(log.some(({ text }) => text === `callback to ${server.url}/told: answered 503`))
  })

  it('go only where the rules allow', async () => {
    const rules = {
      checkUrl: (url: URL) => {
        if (url.hostname === 'inside.example') throw new Failure('REQUEST_INVALID', 'not there')
      },
      checkAddress: anyAddress.checkAddress,
    }
    await using bench = await openTestFactory({ directory: at('rules'), callbackRules: rules })
    const { factory } = bench
    for (const callbacks of [['http://inside.example/'], ['ftp://host/'], ['nonsense'], [7]])
      await assert.rejects(
        factory.orderBase(baseOrder({ callbacks })),
        failsWith('REQUEST_INVALID'),
      )
    assert.deepEqual(await factory.list({}), [])
  })
})
