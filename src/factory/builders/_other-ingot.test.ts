import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { KiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { OtherIngot } from './_other-ingot.ts'

const at = await tempDir()
const { signal } = new AbortController()
const image = Buffer.from(Array.from({ length: 700 * KiB }, (_, index) => index % 251))

suite('the other Ingot', () => {
  test('gives an image whole over connections that break at any byte', async () => {
    let breaks = 5
    await using web = await openWebServer({
      '/v2/images/i/file?disk_format=qcow2&compressed=true': (request, response) => {
        const [, from = '0'] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
        const rest = image.subarray(Number(from))
        const range = { 'content-range': `bytes ${from}-${image.length - 1}/${image.length}` }
        const isPart = request.headers.range !== undefined
        response.writeHead(isPart ? 206 : 200, {
          etag: '"1"',
          'content-length': rest.length,
          ...(isPart && range),
        })
        if (breaks-- <= 0) response.end(rest)
        else response.write(rest.subarray(0, 100_001), () => response.destroy())
      },
    })
    await using other = new OtherIngot({ endpoint: web.url, token: undefined, signal, againMs: 1 })
    await other.saveImage('i', at('image'), () => {})
    assert.ok((await readFile(at('image'))).equals(image))
  })

  test('does not take another part of an image for the one that was asked for', async () => {
    let isFirst = true
    await using web = await openWebServer({
      '/v2/images/i/file?disk_format=qcow2&compressed=true': (_request, response) => {
        const range = { 'content-range': `bytes 7-${image.length - 1}/${image.length}` }
        const headers = { etag: '"1"', 'content-length': image.length }
        response.writeHead(isFirst ? 200 : 206, isFirst ? headers : { ...headers, ...range })
        if (isFirst) response.write(image.subarray(0, 300_000), () => response.destroy())
        else response.end(image)
        isFirst = false
      },
    })
    await using other = new OtherIngot({ endpoint: web.url, token: undefined, signal, againMs: 1 })
    const path = at('another')
    // If nothing was written before the connection broke, all is asked for, and a part is no answer either.
    await assert.rejects(
      other.saveImage('i', path, () => {}),
      failsWith('CLOUD_FAILED'),
    )
  })

  test('is asked again about a build when it does not answer, but not for ever', async () => {
    let away = 2
    await using web = await openWebServer({
      '/ingot/v1/builds/b': (_request, response) =>
        void response.writeHead(away-- > 0 ? 503 : 200).end('{"id":"b","status":"COMPLETE"}'),
    })
    await using other = new OtherIngot({ endpoint: web.url, token: undefined, signal, againMs: 1 })
    assert.equal((await other.show('b')).status, 'COMPLETE')
    away = Infinity
    await assert.rejects(other.show('b'), failsWith('CLOUD_AWAY'))
  })
})
