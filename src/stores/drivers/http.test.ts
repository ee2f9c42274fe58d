import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { makeContext } from '../../base/context.ts'
import { MiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { endServer, listen } from '../../testing/listen.ts'
import { patternOf, storeContract } from '../../testing/store-contract.ts'
import { openStore } from '../open-store.ts'
import { httpDriver } from './http.ts'

/** What a server gives at one address, and what it was asked. */
interface Page {
  bytes: Buffer
  etag?: string
  lastModified?: string
  ranges: boolean
  /** It breaks the connection after so many bytes, once. */
  cutAt?: number
  readonly asked: (string | undefined)[]
}

const pages = new Map<string, Page>()

function answer({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
  const page = pages.get(url)
  if (url === '/moved') return void response.writeHead(302, { location: '/secret' }).end()
  if (url === '/secret') return void response.writeHead(403).end()
  if (url === '/broken') return void response.writeHead(500).end()
  if (url === '/silent') return
  if (url === '/endless') return void response.writeHead(200).end('without a length')
  if (url === '/coded')
    return void response
      .writeHead(200, { 'content-encoding': 'gzip', 'content-length': 1 })
      .end('x')
  if (!page) return void response.writeHead(404).end()
  const { bytes, etag, lastModified, ranges } = page
  page.asked.push(headers.range)
  const named = { ...(etag && { etag }), ...(lastModified && { 'last-modified': lastModified }) }
  const condition = headers['if-match']
  if (condition !== undefined && condition !== etag) return void response.writeHead(412).end()
  const range = ranges ? /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') : null
  if (range && Number(range[1]) >= bytes.length)
    return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
  const from = Number(range?.[1] ?? 0)
  const part = bytes.subarray(from, range ? Number(range[2]) + 1 : undefined)
  const place = { 'content-range': `bytes ${from}-${from + part.length - 1}/${bytes.length}` }
  response.writeHead(range ? 206 : 200, {
    'content-length': part.length,
    ...named,
    ...(range && place),
  })
  const { cutAt } = page
  delete page.cutAt
  if (cutAt === undefined) response.end(part)
  else response.write(part.subarray(0, cutAt), () => response.destroy())
}

const server = createServer(answer)
const base = await startServer()

async function startServer(): Promise<string> {
  const url = await listen(server)
  after(() => endServer(server))
  return url
}

const context = { ...makeContext(), dataDir: '/nowhere' }
const open = async (options: Record<string, unknown> = { allowed_hosts: ['127.0.0.1'] }) =>
  await openStore({ id: 'web', type: 'http', options }, httpDriver, context)

/** Puts content on the server. */
function give(bytes: Uint8Array, page: Partial<Page> = {}): { url: string; page: Page } {
  const path = `/${randomUUID()}`
  const full = { bytes: Buffer.from(bytes), ranges: true, asked: [], ...page }
  pages.set(path, full)
  return { url: base + path, page: full }
}

for (const [name, page] of Object.entries({
  'http, with ranges,': { ranges: true, etag: '"1"' },
  'http, without ranges,': { ranges: false },
}))
  storeContract(
    name,
    async () => ({ store: await open(), give: async (bytes) => give(bytes, page).url }),
    { readOnly: true },
  )

it('a store of web servers that cannot be reached is away, and says so', async () => {
  await using store = await open()
  await assert.rejects(store.open('http://127.0.0.1:1/image'), failsWith('STORE_AWAY'))
})

describe('reading from web servers', () => {
  it('asks once for many small reads, and for more and more when they follow each other', async () => {
    const bytes = patternOf(12 * MiB + 99)
    const { url, page } = give(bytes, { etag: '"1"' })
    await using store = await open()
    await using source = await store.open(url)
    for (let at = 0; at < bytes.length; at += 50_000) {
      const length = Math.min(50_000, bytes.length - at)
      assert.ok(bytes.subarray(at, at + length).equals(await source.read(at, length)))
    }
    const windows = [1, 2, 4, 4, 4].map((size, index) => {
      const from = [0, 1, 3, 7, 11][index]! * MiB
      return `bytes=${from}-${Math.min(from + size * MiB, bytes.length) - 1}`
    })
    assert.deepEqual(page.asked, windows)
  })

  it('reads a server without ranges in one go, and begins again for who goes back', async () => {
    const bytes = patternOf(3 * MiB)
    const { url, page } = give(bytes, { ranges: false })
    await using store = await open()
    await using source = await store.open(url)
    for (let at = 0; at < bytes.length; at += MiB)
      assert.ok(bytes.subarray(at, at + MiB).equals(await source.read(at, MiB)))
    assert.equal(page.asked.length, 1)
    assert.ok(bytes.subarray(100, 200).equals(await source.read(100, 100)))
    assert.equal(page.asked.length, 2)
  })

  it('finds out that the content has changed since it was opened', async () => {
    const changes: Partial<Page>[] = [
      { etag: '"2"' },
      { lastModified: 'Fri, 02 Jan 2026 00:00:00 GMT' },
      { bytes: patternOf(4 * MiB - 1, 2) },
    ]
    for (const change of changes)
      for (const ranges of [true, false]) {
        const first = { etag: '"1"', lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT', ranges }
        const { url, page } = give(patternOf(4 * MiB), first)
        await using store = await open()
        await using source = await store.open(url)
        await source.read(MiB, 10)
        Object.assign(page, change)
        const changed = source.read(ranges ? 3 * MiB + 5 : 0, 10)
        await assert.rejects(changed, (error) => {
          assert.match(String(error), /has changed since it was opened/)
          return failsWith('OBJECT_NOT_FOUND')(error)
        })
      }
  })

  it('says so when a connection breaks, and reads on when asked again', async () => {
    for (const ranges of [true, false]) {
      const bytes = patternOf(900_000)
      const { url } = give(bytes, { ranges, cutAt: 100_000 })
      await using store = await open()
      await using source = await store.open(url)
      assert.ok(bytes.subarray(0, 1000).equals(await source.read(0, 1000)))
      await assert.rejects(source.read(500_000, 1000), failsWith('STORE_AWAY'))
      assert.ok(bytes.subarray(500_000, 501_000).equals(await source.read(500_000, 1000)))
    }
  })

  it('asks again when a connection that was kept has ended meanwhile', async () => {
    const bytes = patternOf(4 * MiB)
    const { url, page } = give(bytes, { etag: '"1"' })
    await using store = await open()
    await using source = await store.open(url)
    await source.read(0, MiB)
    for (let turns = 0; turns < 50; turns++) await setImmediate() // until the connection is free
    server.prependOnceListener('request', (request) => request.socket.destroy())
    assert.ok(bytes.subarray(2 * MiB, 3 * MiB).equals(await source.read(2 * MiB, MiB)))
    assert.equal(page.asked.length, 3)
  })

  it('says what the server answers, in the words of stores', async () => {
    await using store = await open()
    await using impatient = await open({ allowed_hosts: ['127.0.0.1'], silence_s: 0.1 })
    await assert.rejects(impatient.open(`${base}/silent`), failsWith('STORE_AWAY'))
    for (const [path, code] of [
      ['/nothing', 'OBJECT_NOT_FOUND'],
      ['/secret', 'STORE_DENIED'],
      ['/moved', 'STORE_DENIED'],
      ['/broken', 'STORE_AWAY'],
      ['/endless', 'STORE_AWAY'],
      ['/coded', 'STORE_AWAY'],
    ] as const)
      await assert.rejects(store.open(base + path), failsWith(code), path)
  })
})

describe('the addresses of a store of web servers', () => {
  it('are keys as they are, however long', async () => {
    await using store = await open()
    const url = `${base}/${'long/'.repeat(200)}?query=1&more=%20`
    assert.equal(store.keyOf(url), url)
    assert.equal(store.locate(url), url)
  })

  it('may have a part after a #, which tells two keys of one place apart, and is not sent', async () => {
    await using store = await open()
    const { url } = give(Buffer.from('content'))
    assert.equal(store.keyOf(`${url}#two`), `${url}#two`)
    await using data = await store.open(`${url}#two`)
    assert.equal(Buffer.from(await data.read(0, data.size)).toString(), 'content')
  })

  it('are of the web, and hold no passwords', async () => {
    await using store = await open({})
    for (const url of [
      'ftp://example.org/image',
      'file:///etc/passwd',
      'https://user:secret@example.org/image',
      'https:///',
      'not an address',
      `https://example.org/${'x'.repeat(5000)}`,
    ])
      assert.equal(store.keyOf(url), undefined, url)
    assert.equal(store.keyOf('https://example.org/image'), 'https://example.org/image')
  })

  it('are on the public internet, unless they are named, also where an answer leads elsewhere', async () => {
    const { url } = give(Buffer.from('private'))
    await using store = await open({})
    await assert.rejects(store.open(url), failsWith('STORE_DENIED'))
    await assert.rejects(
      store.open(url.replace('127.0.0.1', 'localhost')),
      failsWith('STORE_DENIED'),
    )
    await assert.rejects(store.open('http://[::1]/'), failsWith('STORE_DENIED'))

    await using named = await open({ allowed_hosts: ['localhost'] })
    assert.equal(named.keyOf(url), undefined)
    await using source = await named.open(url.replace('127.0.0.1', 'localhost'))
    assert.equal(source.size, 7)
    await assert.rejects(named.open(url), failsWith('STORE_DENIED'))
  })

  it('name hosts that can be', async () => {
    await assert.rejects(open({ allowed_hosts: ['a b'] }), failsWith('CONFIG_INVALID'))
  })
})
