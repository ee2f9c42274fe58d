import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { type Flaws, flawedPage, openWebServer } from '../testing/web-server.ts'
import { type DownloadOptions, openDownload } from './download.ts'
import { askWeb, type WebRules } from './web-request.ts'

const ANYTHING: WebRules = { checkUrl: () => {}, checkAddress: () => {} }
const CONTENT = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31) % 251))
const failed = failsWith('DOWNLOAD_FAILED')

async function fetchAll(url: string, options: Partial<DownloadOptions> = {}): Promise<Buffer> {
  const settings = { rules: ANYTHING, pauseMs: 1, retries: 2, ...options }
  const { stream } = await openDownload(url, settings, makeContext())
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What comes of a page with these flaws, and which parts of it were asked for. */
async function fetchFlawed(flaws: Flaws, options: Partial<DownloadOptions> = {}) {
  const page = flawedPage(CONTENT, flaws)
  await using server = await openWebServer({ '/image': page })
  return { content: await fetchAll(`${server.url}/image`, options), heard: page.heard }
}

describe('a download', () => {
  it('is all of the content, of a size that is told first', async () => {
    await using server = await openWebServer({ '/image': flawedPage(CONTENT, {}) })
    const { size, stream } = await openDownload(
      `${server.url}/image`,
      { rules: ANYTHING },
      makeContext(),
    )
    const chunks = await Array.fromAsync(stream)
    assert.equal(size, CONTENT.length)
    assert.deepEqual(Buffer.concat(chunks), CONTENT)
  })

  it('goes on where the connection broke', async () => {
    const { content, heard } = await fetchFlawed({ cuts: [100_000, 70_000] })
    assert.ok(content.equals(CONTENT))
    assert.deepEqual(heard, [undefined, 'bytes=100000-', 'bytes=170000-'])
  })

  it('compares what comes again from a server that knows no parts, or does not name its content', async () => {
    for (const flaws of [
      { ranges: false },
      { etags: [undefined] },
      { etags: ['W/"1"'] },
      { chunked: true, ranges: false },
    ]) {
      const { content } = await fetchFlawed({ cuts: [100_000, 170_000], ...flaws })
      assert.ok(content.equals(CONTENT), JSON.stringify(flaws))
    }
  })

  it('is refused when the content changed meanwhile', async () => {
    const other = Buffer.from(CONTENT)
    other[5] = 7
    const changes: Flaws[] = [
      { etags: ['"1"', '"2"'], contents: [CONTENT, other] },
      { etags: [undefined], contents: [CONTENT, other] },
      { ranges: false, contents: [CONTENT, CONTENT.subarray(1)] },
      { ranges: false, chunked: true, contents: [CONTENT, other] },
    ]
    for (const flaws of changes)
      await assert.rejects(fetchFlawed({ cuts: [100_000], ...flaws }), /changed/)
  })

  it('is never taken for whole when it is cut', async () => {
    await assert.rejects(fetchFlawed({ cuts: [10, 10, 10, 10, 10], ranges: false }), failed)
    await assert.rejects(fetchFlawed({ cuts: [0, 0, 0], chunked: true }), failed)
  })

  it('is tried again while the server is busy, and only then', async () => {
    const { content } = await fetchFlawed({ refusals: [503, 429] })
    assert.ok(content.equals(CONTENT))
    await assert.rejects(fetchFlawed({ refusals: [503, 503, 503] }), failed)
    for (const status of [403, 404, 410]) {
      const page = flawedPage(CONTENT, { refusals: [status] })
      await using server = await openWebServer({ '/image': page })
      await assert.rejects(fetchAll(`${server.url}/image`), failed)
      assert.equal(page.heard.length, 1)
    }
  })

  it('is tried again when the server is silent, and ends when it stays so', async () => {
    await using server = await openWebServer({ '/silent': () => {} })
    await assert.rejects(fetchAll(`${server.url}/silent`, { silenceMs: 20 }), /no answer for/)
    assert.equal(server.asked.length, 3)
  })

  it('stops when it is interrupted, also between two connections', async () => {
    const controller = new AbortController()
    const context = makeContext({
      signal: controller.signal,
      log: { debug() {}, info: () => controller.abort(), warn() {}, error() {} },
    })
    await using server = await openWebServer({ '/busy': flawedPage(CONTENT, { refusals: [503] }) })
    const options = { rules: ANYTHING, pauseMs: 60_000 }
    await assert.rejects(
      openDownload(`${server.url}/busy`, options, context),
      failsWith('INTERRUPTED'),
    )
  })
})

function refuse(what: string): never {
  throw new Failure('FORBIDDEN', what)
}

describe('the rules of a download', () => {
  it('are asked for each address on the way', async () => {
    await using inside = await openWebServer({ '/secret': 'secret' })
    await using server = await openWebServer({
      '/image': (_, response) =>
        response.writeHead(302, { location: `${inside.url}/secret` }).end(),
    })
    const rules: WebRules = {
      checkUrl: (url) => (url.pathname === '/secret' ? refuse(url.href) : undefined),
      checkAddress: () => {},
    }
    await assert.rejects(fetchAll(`${server.url}/image`, { rules }), failsWith('FORBIDDEN'))
    assert.deepEqual(inside.asked, [])
  })

  it('are asked for each number that a name stands for, and nothing else is connected to', async () => {
    await using server = await openWebServer({ '/image': 'content' })
    const { port } = new URL(server.url)
    const url = `http://images.test:${port}/image`
    const checked: string[] = []
    const rules: WebRules = {
      checkUrl: () => {},
      checkAddress: (_, address) => void checked.push(address),
    }
    let asked = 0
    const lookup = async () => {
      asked += 1
      return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]
    }
    assert.equal((await fetchAll(url, { rules, lookup })).toString(), 'content')
    assert.deepEqual([checked, asked], [['127.0.0.1'], 1])

    const strict = { ...rules, checkAddress: (_: URL, address: string) => refuse(address) }
    await assert.rejects(fetchAll(url, { rules: strict, lookup }), failsWith('FORBIDDEN'))
    assert.equal(server.asked.length, 1)
  })

  it('let a token go along with redirects on one server, and not to another', async () => {
    const heard: unknown[] = []
    const hear =
      (to: string): RequestListener =>
      ({ headers }, response) => {
        heard.push([headers['x-auth-token'], headers.range])
        if (to === '') response.end('content')
        else response.writeHead(302, { location: to }).end()
      }
    await using there = await openWebServer({ '/a': hear('/b'), '/b': hear('') })
    await using here = await openWebServer({ '/a': hear('/b'), '/b': hear(`${there.url}/a`) })
    const headers = { 'x-auth-token': 'secret', range: 'bytes=0-' }
    const question = { rules: ANYTHING, signal: makeContext().signal, silenceMs: 5000, headers }
    const { response } = await askWeb(`${here.url}/a`, question)
    response.destroy()
    const known = ['secret', 'bytes=0-']
    assert.deepEqual(heard, [known, known, [undefined, 'bytes=0-'], [undefined, 'bytes=0-']])
  })

  it('do not get to see a password told', async () => {
    await using server = await openWebServer({})
    const url = server.url.replace('http://', 'http://user:secret@')
    await assert.rejects(fetchAll(`${url}/image`), (error) => !String(error).includes('secret'))
  })
})
