import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { after, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { endServer, listen } from '../testing/listen.ts'
import { fetchStream, type FetchStreamOptions } from './fetch-stream.ts'
import { isPublicAddress } from './public-address.ts'
import { anyWeb } from './public-web.ts'

const answers: Record<string, RequestListener> = {
  '/file': (_, response) => response.end('content'),
  '/moved': (_, response) => response.writeHead(302, { location: '/file' }).end(),
  '/round': (_, response) => response.writeHead(302, { location: '/round' }).end(),
  '/inside': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/cut': (_, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('short')
    setImmediate(() => response.destroy())
  },
  '/silent': () => {},
}
const server = createServer((request, response) => {
  const answer = answers[request.url ?? '']
  if (answer) answer(request, response)
  else response.writeHead(404).end()
})
const { port } = new URL(await listen(server))
after(() => endServer(server))

async function fetchText(path: string, options: FetchStreamOptions = {}): Promise<string> {
  const url = path.startsWith('http') ? path : `http://127.0.0.1:${port}${path}`
  const chunks: Uint8Array[] = []
  for await (const chunk of fetchStream(url, { rules: anyWeb, ...options }, makeContext()))
    chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('fetching', () => {
  it('gives the content, also from where it was moved to', async () => {
    assert.equal(await fetchText('/file'), 'content')
    assert.equal(await fetchText('/moved'), 'content')
    assert.equal(await fetchText(`http://localhost:${port}/file`), 'content')
  })

  it('fails when there is none, and when it is cut, silent or too large', async () => {
    const failed = failsWith('DOWNLOAD_FAILED')
    await assert.rejects(fetchText('/nothing'), failed)
    await assert.rejects(fetchText('/round'), failed)
    await assert.rejects(fetchText('/inside'), failed)
    await assert.rejects(fetchText('/cut'), failed)
    await assert.rejects(fetchText('/silent', { silenceMs: 50 }), failed)
    await assert.rejects(fetchText('/file', { maxSize: 3 }), failed)
    await assert.rejects(fetchText('http://'), failed)
  })

  it('asks no private address, by number or by name', async () => {
    const options = { rules: undefined }
    for (const host of [
      '127.0.0.1',
      'localhost',
      '[::1]',
      '0x7f.1',
      '2130706433',
      '[::ffff:7f00:1]',
    ])
      await assert.rejects(fetchText(`http://${host}:${port}/file`, options), (error) => {
        assert.match(String(error), /not on the public internet/)
        return failsWith('DOWNLOAD_FAILED')(error)
      })
  })

  it('ends when it is interrupted', async () => {
    const controller = new AbortController()
    const context = makeContext({ signal: controller.signal })
    const url = `http://127.0.0.1:${port}/silent`
    const first = fetchStream(url.replace('//', '//ann:pa55@'), { rules: anyWeb }, context).next()
    setImmediate(() => controller.abort())
    await assert.rejects(first, (error) => {
      assert.ok(!String(error).includes('pa55'))
      return failsWith('INTERRUPTED')(error)
    })
  })
})

describe('an address', () => {
  it('is public or is not', () => {
    for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700::1111'])
      assert.equal(isPublicAddress(address), true, address)
    for (const address of [
      '127.0.0.1',
      '10.1.2.3',
      '172.31.255.255',
      '192.168.0.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      '::ffff:8.8.8.8',
      '64:ff9b::a00:1',
      'fe80::1%eth0',
      'fd00::1',
      'ff02::1',
      '2001:db8::1',
      '2002:7f00:1::',
      'example.org',
    ])
      assert.equal(isPublicAddress(address), false, address)
  })
})
