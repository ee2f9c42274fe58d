import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { memorySource, type Source } from '../bytes/source.ts'
import { DiskMapBuilder, UNIT } from '../formats/disk-map.ts'
import { VIEW_FORMATS } from '../formats/views.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import type { Listing } from './listing.ts'
import { openViewServer, type ViewServerOptions } from './view-server.ts'

const at = await tempDir()
const content = Buffer.alloc(4 * MiB)
const builder = new DiskMapBuilder()
for (const unit of [0, 3, 63]) {
  builder.add(unit)
  content.subarray(unit * UNIT, (unit + 1) * UNIT).fill(`unit ${unit}, `)
}
const map = builder.toMap(content.length)

async function serve(
  options: Partial<ViewServerOptions> = {},
  disk: Source = memorySource(content),
) {
  const served = { name: 'golden <1>', disk, map, identity: 'golden', contentDigest: 'the-content' }
  const place = { host: '127.0.0.1', port: 0, storeDirectory: at('.') }
  return await openViewServer(served, { ...place, ...options }, makeContext())
}

async function list(url: string): Promise<Listing['formats']> {
  return ((await (await fetch(url)).json()) as Listing).formats
}

/** Status and code of an answer that is a failure. */
async function refusal(url: string): Promise<[status: number, code: string]> {
  const response = await fetch(url)
  const { error } = (await response.json()) as { error: { code: string } }
  return [response.status, error.code]
}

describe('a view server', () => {
  it('lists every format for programs, and for people', async () => {
    await using server = await serve()
    assert.deepEqual(
      (await list(server.url)).map(({ name }) => name),
      VIEW_FORMATS.map(({ name }) => name),
    )
    const page = await (await fetch(server.url, { headers: { accept: 'text/html,*/*' } })).text()
    assert.match(page, /<h1>golden &lt;1&gt;<\/h1>/)
    assert.match(page, /<a href="\/disk.qcow2">qcow2<\/a>/)
  })

  it('is only read', async () => {
    await using server = await serve()
    for (const path of ['', 'disk.raw'])
      assert.equal((await fetch(server.url + path, { method: 'POST', body: 'x' })).status, 405)
  })

  it('gives each format at its own address, as long as it said', async () => {
    await using server = await serve()
    const formats = await list(server.url)
    assert.equal(new Set(formats.map(({ url }) => url)).size, VIEW_FORMATS.length)
    for (const { url, length, etag } of formats.filter(({ state }) => state === 'ready')) {
      const response = await fetch(new URL(url, server.url))
      assert.equal(response.headers.get('etag'), etag)
      assert.equal((await response.bytes()).length, length)
    }
  })

  it('compresses on the first request, and finds it done after that', async () => {
    await using server = await serve()
    const gz = new URL('/disk.raw.gz', server.url)
    const response = await fetch(gz)
    assert.equal(
      response.headers.get('content-disposition')?.split(';')[1],
      ' filename="golden _1_.raw.gz"',
    )
    assert.ok(gunzipSync(await response.bytes()).equals(content))
    assert.ok((await fetch(gz, { method: 'HEAD' })).headers.get('content-length'))
    const states = Object.fromEntries((await list(server.url)).map((one) => [one.name, one.state]))
    assert.deepEqual([states['qcow2-zlib'], states['qcow2-zstd']], ['ready', 'on request'])
    await using second = await serve({}, brokenDisk)
    const again = await fetch(new URL('/disk.raw.gz', second.url))
    assert.ok(gunzipSync(await again.bytes()).equals(content), 'from what the first one kept')
  })

  it('gives an appliance whose manifest tells the digest of its disk', async () => {
    await using server = await serve()
    const ova = Buffer.from(await (await fetch(new URL('/disk.ova', server.url))).bytes())
    const vmdk = await (await fetch(new URL('/disk-vmdk-stream.vmdk', server.url))).bytes()
    assert.ok(ova.includes(hash('sha256', vmdk)), 'the manifest')
    assert.ok(ova.includes(vmdk), 'the disk')
  })

  it('makes a kept store again that is damaged', async () => {
    const storeDirectory = at('damaged')
    await mkdir(storeDirectory)
    const first = await serve({ storeDirectory })
    await (await fetch(new URL('/disk.raw.gz', first.url))).bytes()
    await first[Symbol.asyncDispose]()
    const [name = ''] = await readdir(storeDirectory)
    await writeFile(`${storeDirectory}/${name}`, 'nonsense')
    await using second = await serve({ storeDirectory })
    const response = await fetch(new URL('/disk.raw.gz', second.url))
    assert.ok(gunzipSync(await response.bytes()).equals(content))
  })

  it('streams what is being made, and gives the rest to who waits for it', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    const slow: Source = {
      ...memorySource(content),
      read: async (offset, length) => {
        await held
        return content.subarray(offset, offset + length)
      },
    }
    const storeDirectory = at('slow')
    await mkdir(storeDirectory)
    await using server = await serve({ storeDirectory }, { ...slow })
    const url = new URL('/disk.raw.gz', server.url)
    const head = await fetch(url, { method: 'HEAD' })
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, null])
    const streamed = fetch(url)
    const part = fetch(url, { headers: { range: 'bytes=10-' } })
    while ((await list(server.url)).find(({ name }) => name === 'raw.gz')?.state !== 'being made')
      await new Promise((resolve) => setImmediate(resolve))
    release()
    const whole = Buffer.from(await (await streamed).bytes())
    assert.ok(gunzipSync(whole).equals(content))
    assert.ok(whole.subarray(10).equals(await (await part).bytes()))
    assert.equal((await part).status, 206)
    const again = await fetch(url)
    assert.equal(again.headers.get('content-length'), String(whole.length))
    assert.equal(again.headers.get('etag'), (await streamed).headers.get('etag'))
    assert.equal(head.headers.get('etag'), again.headers.get('etag'))
  })

  it('says what is not there, and what cannot be', async () => {
    await using server = await serve({ formats: VIEW_FORMATS.filter(({ name }) => name === 'vdi') })
    for (const path of ['/disk.qcow2', '/../../etc/passwd', '/%00', '/disk.vdi/x']) {
      assert.deepEqual(await refusal(`${server.url}${path.slice(1)}`), [404, 'NOT_SERVED'])
    }
    const odd = {
      name: 'odd',
      disk: memorySource(Buffer.alloc(700)),
      map: new DiskMapBuilder().toMap(700),
      identity: '',
      contentDigest: '',
    }
    await using other = await openViewServer(
      odd,
      { host: '127.0.0.1', port: 0, storeDirectory: at('.') },
      makeContext(),
    )
    assert.deepEqual(await refusal(`${other.url}disk.raw`), [409, 'VIEW_IMPOSSIBLE'])
    assert.equal((await list(other.url))[0]?.state, 'impossible')
  })

  it('is not fooled by a page that gives this host a name of its own', async () => {
    await using server = await serve()
    const status = async (host: string) =>
      await new Promise((resolve, reject) => {
        request(server.url, { headers: { host } }, (response) =>
          resolve(response.resume().statusCode),
        )
          .on('error', reject)
          .end()
      })
    assert.equal(await status('rebound.example:80'), 404)
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:80'])
      assert.equal(await status(host), 200)
  })

  it('says when the address is taken, or is none', async () => {
    await using server = await serve()
    const port = Number(new URL(server.url).port)
    await assert.rejects(serve({ port }), failsWith('ADDRESS_IN_USE'))
    await assert.rejects(serve({ host: '192.0.2.1' }), failsWith('USAGE'))
  })

  it('ends what is under way when it is closed', async () => {
    const server = await serve(
      { storeDirectory: at('closed/..') },
      {
        ...memorySource(content),
        read: async () =>
          await new Promise((resolve) => setImmediate(resolve, content.subarray(0, UNIT))),
      },
    )
    const asked = fetch(new URL('/disk.raw', server.url)).then((response) => response.bytes())
    await Promise.all([assert.rejects(asked), server[Symbol.asyncDispose]()])
  })
})

const brokenDisk: Source = {
  ...memorySource(content),
  read: async () => {
    throw new Error('nobody should read the disk')
  },
}
