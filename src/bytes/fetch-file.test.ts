import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeContext, type ProgressEvent } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openWebServer, type WebServer } from '../testing/web-server.ts'
import { fetchFile } from './fetch-file.ts'

const digest = (content: string) => createHash('sha256').update(content).digest('hex')
const context = makeContext()

describe('a file from the web', () => {
  let directory: string
  let server: WebServer
  let failures = 0
  const fetchIt = (path: string, content: string, more = {}) =>
    fetchFile({ url: server.url + path, sha256: digest(content), directory, ...more }, context)

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-fetch-'))
    server = await openWebServer({
      '/hello': 'hello',
      '/again': 'again',
      '/large': 'x'.repeat(100_000),
      '/silent': () => {},
      '/stalls': (_request, response) => void response.write('some'),
      '/short': (_request, response) => {
        response.writeHead(200, { 'content-length': '100' }).write('short')
        response.destroy()
      },
      '/flaky': (_request, response) => {
        if (failures++ === 0) response.destroy()
        else response.end('flaky')
      },
      '/redirect': (_request, response) => response.writeHead(302, { location: '/hello' }).end(),
      '/out': (_request, response) =>
        response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  it('is fetched once and kept under its digest', async () => {
    const path = await fetchIt('/hello', 'hello')
    assert.equal(await readFile(path, 'utf8'), 'hello')
    assert.equal(path, join(directory, digest('hello')))
    assert.equal(await fetchIt('/hello', 'hello'), path)
    assert.equal(server.asked.filter((one) => one === '/hello').length, 1)
  })

  it('is fetched anew when what was kept is not it any more', async () => {
    const path = await fetchIt('/again', 'again')
    await writeFile(path, 'tampered')
    assert.equal(await readFile(await fetchIt('/again', 'again'), 'utf8'), 'again')
  })

  it('that is not what its digest says is not kept', async () => {
    await assert.rejects(fetchIt('/hello', 'something else'), failsWith('DIGEST_MISMATCH'))
  })

  it('is given up with what went wrong, and leaves nothing behind', async () => {
    for (const [path, message, more] of [
      ['/none', /answers 404/, {}],
      ['/silent', /no answer for 0\.05 s/, { silenceMs: 50 }],
      ['/stalls', /no answer for 0\.05 s/, { silenceMs: 50 }],
      ['/short', /./, {}],
      ['/large', /more than 1\.0 KiB/, { maxSize: 1024 }],
      ['/out', /./, {}],
    ] as const)
      await assert.rejects(fetchIt(path, 'x', more), (error: Error) => {
        assert.match(error.message, message, path)
        return failsWith('DOWNLOAD_FAILED')(error)
      })
    assert.deepEqual(
      (await readdir(directory)).filter((name) => name.startsWith('.')),
      [],
    )
  })

  it('is tried a second time when the connection breaks', async () => {
    assert.equal(await readFile(await fetchIt('/flaky', 'flaky'), 'utf8'), 'flaky')
  })

  it('may be somewhere else on the web, but nowhere else', async () => {
    await rm(join(directory, digest('hello')))
    assert.equal(await readFile(await fetchIt('/redirect', 'hello'), 'utf8'), 'hello')
    for (const url of ['file:///etc/passwd', 'ftp://x/y', 'data:,hello'])
      await assert.rejects(
        fetchFile({ url, sha256: digest('hello2'), directory }, context),
        failsWith('DOWNLOAD_FAILED'),
      )
  })

  it('tells how far it is', async () => {
    const events: ProgressEvent[] = []
    const watched = makeContext({ progress: (event) => events.push(event) })
    const sha256 = digest('x'.repeat(100_000))
    await fetchFile({ url: `${server.url}/large`, sha256, directory }, watched)
    assert.deepEqual(events.at(-1), {
      kind: 'bytes',
      name: `${server.url}/large`,
      done: 100_000,
      total: 100_000,
    })
  })

  it('is let go when the user interrupts', async () => {
    const stop = new AbortController()
    const stopped = makeContext({ signal: stop.signal })
    const fetching = fetchFile(
      { url: `${server.url}/silent`, sha256: digest('y'), directory },
      stopped,
    )
    stop.abort()
    await assert.rejects(fetching, failsWith('INTERRUPTED'))
  })
})
