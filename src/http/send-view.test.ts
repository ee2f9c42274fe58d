import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readlink, truncate, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { connect, Socket } from 'node:net'
import { describe, it } from 'node:test'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { memorySource, openFileSource, readInto, type Source } from '../bytes/source.ts'
import type { View } from '../formats/view.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openWebServer } from '../testing/web-server.ts'
import { type Sent, sendView } from './send-view.ts'

const at = await tempDir()
const SIZE = 3 * MiB + 512
const ETAG = '"abc"'
const content = Buffer.from(
  Uint32Array.from({ length: SIZE / 4 }, (_, at) => at * 2654435761).buffer,
)
const PREFIX = Buffer.from('head of the file')
const whole = Buffer.concat([PREFIX, content])

/** A file of a few bytes of its own and then the disk. */
const view: View = {
  format: 'test',
  length: whole.length,
  etag: ETAG,
  *pieces(from, to) {
    if (from < PREFIX.length)
      yield { kind: 'bytes', bytes: PREFIX.subarray(from, Math.min(to, PREFIX.length)) }
    const offset = Math.max(from - PREFIX.length, 0)
    const length = to - PREFIX.length - offset
    if (length > 0) yield { kind: 'copy', of: 'disk', offset, length }
  },
}

/** So much that no connection takes it all by itself: the disk over and over. */
const TIMES = 16
const long: View = {
  ...view,
  length: TIMES * SIZE,
  *pieces() {
    for (let time = 0; time < TIMES; time++)
      yield { kind: 'copy', of: 'disk', offset: 0, length: SIZE }
  },
}

/** A server of a view of `disk`, with what came of each request. */
async function serve({ disk = memorySource(content), served = view } = {}) {
  const results: (Sent | Error)[] = []
  const waiting: (() => void)[] = []
  const answer: RequestListener = async (request, response) => {
    try {
      const named = { mediaType: 'application/x-test', fileName: 'a.test' }
      results.push(await sendView(request, response, { view: served, origins: { disk }, ...named }))
    } catch (error) {
      if (!response.headersSent) response.writeHead(500).end('the disk is broken')
      results.push(error as Error)
    }
    waiting.shift()?.()
  }
  const { url, [Symbol.asyncDispose]: close } = await openWebServer({ '/': answer })
  const nextResult = async () => {
    if (results.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return results.shift()
  }
  return { url, [Symbol.asyncDispose]: close, nextResult }
}

/** A client that has seen the first bytes of the answer, and takes no more for now. */
async function openSlowClient(url: string): Promise<Socket> {
  const socket = new Socket().connect(Number(new URL(url).port), '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(socket, 'readable')
  return socket
}

/** A disk that can be read up to a byte. */
function brokenAt(end: number): Source {
  return {
    ...memorySource(content),
    read: async (offset, length) => {
      if (offset + length > end) throw new Failure('IMAGE_TRUNCATED', 'the disk is cut')
      return content.subarray(offset, offset + length)
    },
  }
}

async function get(url: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(url, { headers, method })
  const body = Buffer.from(await response.arrayBuffer())
  return { status: response.status, headers: response.headers, body }
}

/** The disk as a file, and how many of its bytes were read by ourselves. */
async function openFile() {
  await writeFile(at('disk'), content)
  const file = await openFileSource(at('disk'))
  const counted = { ...file, bytesRead: 0 }
  counted.readInto = async (target, offset) => {
    counted.bytesRead += target.length
    await readInto(file, target, offset)
  }
  return counted
}

/** How many connections this process has. */
async function connections() {
  const open = await readdir('/proc/self/fd')
  const links = await Promise.all(
    open.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
  )
  return links.filter((link) => link.startsWith('socket:')).length
}

describe('a view over HTTP', () => {
  it('is sent whole, with its exact length, a strong tag and a name', async () => {
    await using server = await serve()
    const { status, headers, body } = await get(server.url)
    assert.equal(status, 200)
    assert.ok(body.equals(whole))
    assert.equal(headers.get('content-length'), String(whole.length))
    assert.equal(headers.get('etag'), ETAG)
    assert.equal(headers.get('accept-ranges'), 'bytes')
    assert.equal(headers.get('content-type'), 'application/x-test')
    assert.equal(headers.get('content-disposition'), 'attachment; filename="a.test"')
    assert.deepEqual(await server.nextResult(), { status: 200, bytes: whole.length, whole: true })
  })

  it('answers HEAD with the same headers, a range or not, and no body', async () => {
    await using server = await serve()
    for (const asked of [{}, { range: 'bytes=0-9' }]) {
      const { status, headers, body } = await get(server.url, asked, 'HEAD')
      assert.equal(status, 200)
      assert.equal(headers.get('content-length'), String(whole.length))
      assert.equal(body.length, 0)
    }
  })

  it('gives any range, and says which', async () => {
    await using server = await serve()
    for (const [from, to] of [
      [0, 1],
      [5, 300_000],
      [PREFIX.length, MiB],
      [whole.length - 1, whole.length],
    ] as const) {
      const { status, headers, body } = await get(server.url, { range: `bytes=${from}-${to - 1}` })
      assert.equal(status, 206)
      assert.ok(body.equals(whole.subarray(from, to)))
      assert.equal(headers.get('content-range'), `bytes ${from}-${to - 1}/${whole.length}`)
    }
  })

  it('answers several ranges at once with the whole', async () => {
    await using server = await serve()
    const { status, body } = await get(server.url, { range: 'bytes=0-1,4-5' })
    assert.equal(status, 200)
    assert.equal(body.length, whole.length)
  })

  it('refuses a range behind the end, and tells the length', async () => {
    await using server = await serve()
    const { status, headers } = await get(server.url, { range: `bytes=${whole.length}-` })
    assert.equal(status, 416)
    assert.equal(headers.get('content-range'), `bytes */${whole.length}`)
  })

  it('goes on with a download only if it is of the same content', async () => {
    await using server = await serve()
    const range = 'bytes=10-19'
    assert.equal((await get(server.url, { range, 'if-range': ETAG })).status, 206)
    for (const other of ['"other"', `W/${ETAG}`, 'Sat, 01 Jan 2022 00:00:00 GMT'])
      assert.equal((await get(server.url, { range, 'if-range': other })).status, 200)
  })

  it('says that nothing changed, or that it is not what was expected', async () => {
    await using server = await serve()
    for (const tag of [ETAG, `W/${ETAG}`, `"x", ${ETAG}`, '*']) {
      const { status, headers } = await get(server.url, { 'if-none-match': tag })
      assert.deepEqual([status, headers.get('etag')], [304, ETAG])
    }
    assert.equal((await get(server.url, { 'if-none-match': '"x"' })).status, 200)
    assert.equal((await get(server.url, { 'if-match': '"x"' })).status, 412)
    assert.equal((await get(server.url, { 'if-match': `W/${ETAG}` })).status, 412)
    assert.equal((await get(server.url, { 'if-match': ETAG })).status, 200)
  })

  it('takes no other method', async () => {
    await using server = await serve()
    const { status, headers } = await get(server.url, {}, 'DELETE')
    assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD'])
  })

  it('answers one request after the other on one connection', async () => {
    await using server = await serve()
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    for (const [from, more] of [
      [0, ''],
      [MiB, ''],
      [5, 'Connection: close\r\n'],
    ] as const)
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=${from}-${from + 99}\r\n${more}\r\n`)
    const received = Buffer.concat(await socket.toArray())
    for (const from of [0, MiB, 5])
      assert.ok(received.includes(whole.subarray(from, from + 100)), `the range from ${from}`)
  })
})

describe('a client that does not take everything', () => {
  it('ends reading when it leaves', async () => {
    let read = 0
    const counted: Source = {
      ...memorySource(content),
      read: async (offset, length) => {
        read += length
        return content.subarray(offset, offset + length)
      },
    }
    await using server = await serve({ disk: counted, served: long })
    const socket = await openSlowClient(server.url)
    socket.destroy()
    const sent = await server.nextResult()
    assert.ok(sent !== undefined && 'whole' in sent && !sent.whole)
    const before = read
    assert.ok(before < long.length)
    await get(server.url, {}, 'HEAD') // the server has had its turn
    assert.equal(read, before)
  })

  it('never sees bytes change that it has not taken yet', async () => {
    await using server = await serve({ served: long })
    const socket = await openSlowClient(server.url)
    await get(server.url, {}, 'HEAD') // while the server fills what it may
    const received = Buffer.concat(await socket.toArray())
    const body = received.subarray(-long.length)
    for (let time = 0; time < TIMES; time++)
      assert.ok(body.subarray(time * SIZE, (time + 1) * SIZE).equals(content))
  })
})

describe('a disk that stands in a file', () => {
  it('is sent whole, answer after answer on one connection, most of it by the kernel', async () => {
    await using disk = await openFile()
    await using server = await serve({ disk, served: long })
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    for (const more of ['', '', 'Connection: close\r\n'])
      socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n`)
    const received = Buffer.concat(await socket.toArray())
    let start = 0
    for (let answer = 0; answer < 3; answer++) {
      start = received.indexOf('\r\n\r\n', start) + 4
      for (let time = 0; time < TIMES; time++, start += SIZE)
        assert.ok(received.subarray(start, start + SIZE).equals(content), `${answer}, ${time}`)
      assert.deepEqual(await server.nextResult(), { status: 200, bytes: long.length, whole: true })
    }
    assert.equal(start, received.length)
    const all = 3 * long.length
    assert.ok(disk.bytesRead < all / 2, `${disk.bytesRead} of ${all} were read`)
  })

  it('is sent while more clients than there are threads take nothing', async () => {
    await using disk = await openFile()
    await using server = await serve({ disk, served: long })
    const slow = await Promise.all(Array.from({ length: 8 }, () => openSlowClient(server.url)))
    assert.equal((await get(server.url)).body.length, long.length)
    for (const socket of slow) socket.destroy()
    for (let answer = 0; answer < slow.length + 1; answer++) await server.nextResult()
  })

  it('leaves no connection open when its client leaves', async () => {
    await using disk = await openFile()
    await using server = await serve({ disk, served: long })
    const before = await connections()
    for (let time = 0; time < 3; time++) {
      const socket = await openSlowClient(server.url)
      const closed = once(socket, 'close')
      socket.destroy()
      const sent = await server.nextResult()
      assert.ok(sent !== undefined && 'whole' in sent && !sent.whole)
      await closed
    }
    assert.ok((await connections()) <= before)
  })

  it('cuts the connection when the file is shorter than it was', async () => {
    await using disk = await openFile()
    await using server = await serve({ disk, served: long })
    await truncate(at('disk'), 2 * MiB)
    await assert.rejects(get(server.url))
    const failed = await server.nextResult()
    assert.ok(failed instanceof Failure && failed.code === 'IMAGE_TRUNCATED')
  })
})

describe('a disk that cannot be read', () => {
  it('can still be told when nothing was sent', async () => {
    await using server = await serve({ disk: brokenAt(0) })
    const { status, headers, body } = await get(server.url)
    assert.deepEqual([status, body.toString()], [500, 'the disk is broken'])
    assert.equal(headers.get('etag'), null)
  })

  it('cuts the connection when something was, so that no part passes for the whole', async () => {
    await using server = await serve({ disk: brokenAt(2 * MiB) })
    await assert.rejects(get(server.url))
    assert.ok((await server.nextResult()) instanceof Failure)
  })
})
