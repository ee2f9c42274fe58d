/**
 * Clients that mean no good, or have bad luck, at the real server: what they may send, where they may stop, and that
 * nothing of it stays, harms others, or tells what is nobody's business.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { assert as check, asyncProperty, boolean, constantFrom, integer } from 'fast-check'
import { stringify } from 'yaml'
import { hashToken } from '../src/access/identity/token-hash.ts'
import { KiB, MiB } from '../src/base/units.ts'
import { makeBaseImages } from '../src/testing/hostile/base-images.ts'
import { hostileImages } from '../src/testing/hostile/hostile-images.ts'
import { type Served, startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'
import { openWebServer, type WebServer } from '../src/testing/web-server.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const PATIENCE_MS = 30_000
const temp = await tempDir()
const TOKENS = { alice: 'token-of-alice-7f3a', bob: 'token-of-bob-91cc' }
const PASSWORD = 'pass-9d2b'

const page = Buffer.from('what stands inside the house')
const pages: Record<string, Uint8Array> = {}
/** What stands at these addresses is put into `pages` later. */
const hostedPages = Object.fromEntries(
  Array.from({ length: 1000 }, (_, at): [string, RequestListener] => [
    `/image-${at}`,
    ({ url = '' }, response) => void response.end(pages[url]),
  ]),
)
let web: WebServer
let server: Served
before(async () => {
  web = await openWebServer({
    '/inside': page,
    '/sent-on': (_, response) =>
      response
        .writeHead(302, { location: `http://127.0.0.1:${new URL(web.url).port}/inside` })
        .end(),
    ...hostedPages,
  })
  const { port } = new URL(web.url)
  const tokens = Object.entries(TOKENS).map(([name, token]) => ({
    name,
    hash: hashToken(token),
    project: `project-${name}`,
    roles: ['member'],
  }))
  await writeFile(temp('tokens.yaml'), stringify({ tokens }))
  server = await startServer(temp('ingot.yaml'), {
    data_dir: temp('data'),
    auth: { mode: 'token', tokens_file: temp('tokens.yaml') },
    import: { web: { allowed_hosts: ['localhost'], allowed_ports: [Number(port)], retries: 0 } },
  })
})
after(async () => {
  await server[Symbol.asyncDispose]()
  await web[Symbol.asyncDispose]()
})

interface Question {
  readonly as?: keyof typeof TOKENS
  readonly body?: unknown
  readonly type?: string
}

async function ask(line: string, { as = 'alice', body, type = 'application/json' }: Question = {}) {
  const [method = '', path = ''] = line.split(' ')
  const answer = await fetch(server.url + path, {
    method,
    headers: { accept: 'application/json', 'x-auth-token': TOKENS[as], 'content-type': type },
    ...(body !== undefined && {
      body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
    }),
  })
  const text = await answer.text()
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what they expect
  const json: any = text.startsWith('{') ? JSON.parse(text) : undefined
  return { status: answer.status, text, json }
}

const OCTETS = 'application/octet-stream'
const put = async (id: string, body: Uint8Array, to = 'file') =>
  await ask(`PUT /v2/images/${id}/${to}`, { body, type: OCTETS })

async function create(disk_format = 'raw'): Promise<string> {
  const body = { name: 'x', disk_format, container_format: 'bare' }
  return (await ask('POST /v2/images', { body })).json.id
}

const shown = async (id: string) => (await ask(`GET /v2/images/${id}`)).json

/** Waits until it is so; the clients here leave before they are told anything. */
async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    assert.ok(Date.now() < end, `never: ${what}\n${server.log.slice(-20).join('\n')}`)
    await wait(20)
  }
}

async function isQueuedAgain(id: string): Promise<void> {
  const back = async () => {
    const { status, size, checksum } = await shown(id)
    return status === 'queued' && size === null && checksum === null ? true : undefined
  }
  await until(back, `${id} is queued again`)
}

/** Everything that stands in the store and the spool. */
async function filesLeft(): Promise<string[]> {
  const files = await Promise.all(
    ['images', 'spool'].map(async (name) => {
      const entries = await readdir(temp(`data/${name}`), { recursive: true, withFileTypes: true })
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
    }),
  )
  return files.flat()
}

async function nothingIsLeft(id: string): Promise<void> {
  const none = async () =>
    (await filesLeft()).some((name) => name.includes(id)) ? undefined : true
  await until(none, `nothing is left of ${id}`)
}

async function dial(): Promise<Socket> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

const head = (line: string, ...headers: string[]) =>
  [`${line} HTTP/1.1`, 'Host: x', `X-Auth-Token: ${TOKENS.alice}`, ...headers, '', ''].join('\r\n')

/** What the server says until it closes. */
async function said(request: string): Promise<string> {
  const socket = await dial()
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  socket.end(Buffer.from(request, 'latin1'))
  await once(socket, 'close')
  return Buffer.concat(parts).toString('latin1')
}

describe('a client that leaves', () => {
  it('at any byte leaves nothing behind', async () => {
    const body = randomBytes(300 * KiB)
    const wholeChunk = `${body.length.toString(16)}\r\n`
    const left = asyncProperty(
      constantFrom('file', 'stage'),
      boolean(),
      boolean(),
      integer({ min: 1, max: body.length + 200 }),
      async (to, isChunked, resets, at) => {
        const id = await create()
        const announced = isChunked
          ? 'Transfer-Encoding: chunked'
          : `Content-Length: ${body.length}`
        const start = head(`PUT /v2/images/${id}/${to}`, `Content-Type: ${OCTETS}`, announced)
        const all = Buffer.concat([Buffer.from(start + (isChunked ? wholeChunk : '')), body])
        const socket = await dial()
        const sent = all.subarray(0, Math.min(at, all.length - 1))
        await new Promise((resolve) => socket.write(sent, resolve))
        if (resets) socket.resetAndDestroy()
        else socket.destroy()
        // It may be heard only now that it has come, and gone.
        const isTaken = async () => ((await put(id, body)).status === 204 ? true : undefined)
        await until(isTaken, 'the image takes other data')
        const { status, size } = await shown(id)
        assert.deepEqual([status, size], ['active', body.length])
        const one = async () => {
          const files = (await filesLeft()).filter((name) => name.includes(id))
          return files.length === 1 ? true : undefined
        }
        await until(one, 'only what was taken is left')
      },
    )
    await check(left, { numRuns: full ? 400 : 40 })
  })
})

describe('a request whose end could be read in two ways', () => {
  const body = '{"name":"smuggled"}'
  const next = head('DELETE /v2/images/none')
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const length = `Content-Length: ${body.length}`
  const shapes: Readonly<Record<string, string>> = {
    'with a length and chunks':
      head('POST /v2/images', length, 'Transfer-Encoding: chunked') + chunked,
    'with two lengths': head('POST /v2/images', length, 'Content-Length: 5') + body,
    'with one length twice': head('POST /v2/images', length, length) + body,
    'with a length that is signed':
      head('POST /v2/images', `Content-Length: +${body.length}`) + body,
    'with a length below none': head('POST /v2/images', 'Content-Length: -1') + body,
    'with a length that no number holds': head(
      'POST /v2/images',
      `Content-Length: ${'9'.repeat(30)}`,
    ),
    'with a coding that is not the last':
      head('POST /v2/images', 'Transfer-Encoding: chunked, x') + chunked,
    'with a coding of another name':
      head('POST /v2/images', 'Transfer-Encoding: xchunked') + chunked,
    'with a coding below a space': head('POST /v2/images', 'Transfer-Encoding : chunked') + chunked,
    'with a coding behind a tab':
      head('POST /v2/images', 'Transfer-Encoding: \x0bchunked') + chunked,
    'packed on its way': head('POST /v2/images', 'Transfer-Encoding: gzip, chunked') + chunked,
    'with a folded header': head('POST /v2/images', 'X-A: b\r\n c', length) + body,
    'with lines that end early': head('POST /v2/images', length).replaceAll('\r\n', '\n') + body,
    'with a chunk of no size': `${head('POST /v2/images', 'Transfer-Encoding: chunked')}zz\r\n${body}\r\n`,
    'with a chunk that is longer than it says': `${head('POST /v2/images', 'Transfer-Encoding: chunked')}5\r\n${body}\r\n0\r\n\r\n`,
    'with a chunk of more than there is': `${head('POST /v2/images', 'Transfer-Encoding: chunked')}${'f'.repeat(17)}\r\n${body}`,
    'with a header that holds nothing': head('GET /v2/images', 'X-A: a\0b'),
  }
  for (const [title, request] of Object.entries(shapes))
    it(`${title} is refused, and nothing behind it is heard`, async () => {
      const answers = (await said(request + next)).match(/HTTP\/1\.1 \d+/g)
      assert.deepEqual([...new Set(answers)], ['HTTP/1.1 400'])
      const { json } = await ask('GET /v2/images?name=smuggled')
      assert.deepEqual(json.images, [])
    })
})

describe('a body that is not wanted', () => {
  it('is heard out, so that its sender is told why, however it sends', async () => {
    const id = await create()
    assert.equal((await put(id, randomBytes(1000))).status, 204)
    const part = Buffer.alloc(MiB, 'x')
    const count = 48
    for (const isChunked of [false, true]) {
      const socket = await dial()
      const parts: Buffer[] = []
      socket.on('data', (bytes: Buffer) => parts.push(bytes))
      const announced = isChunked
        ? 'Transfer-Encoding: chunked'
        : `Content-Length: ${count * part.length}`
      socket.write(head(`PUT /v2/images/${id}/file`, `Content-Type: ${OCTETS}`, announced))
      for (let sent = 0; sent < count; sent += 1) {
        if (isChunked) socket.write(`${part.length.toString(16)}\r\n`)
        if (!socket.write(part)) await once(socket, 'drain')
        if (isChunked) socket.write('\r\n')
      }
      socket.end(isChunked ? '0\r\n\r\n' : '')
      await once(socket, 'close')
      assert.match(Buffer.concat(parts).toString(), /^HTTP\/1\.1 409 /)
    }
  })
})

describe('many clients', () => {
  it('that bring data to one image bring it once', async () => {
    const id = await create()
    const body = randomBytes(MiB)
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => put(id, body, index % 2 === 0 ? 'file' : 'stage')),
    )
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
    assert.deepEqual(statuses, [204, ...Array.from({ length: 11 }, () => 409)])
    assert.equal((await filesLeft()).filter((name) => name.includes(id)).length, 1)
  })

  it('that never end their requests do not hold up the others', async () => {
    const id = await create()
    const sockets = await Promise.all(Array.from({ length: 500 }, dial))
    for (const [index, socket] of sockets.entries())
      socket.write(
        index % 2 === 0
          ? 'GET /v2/images HTTP/1.1\r\nHost: x\r\nX-A'
          : head('POST /v2/images', 'Content-Length: 100') + '{"name":',
      )
    assert.equal((await put(id, randomBytes(MiB))).status, 204)
    assert.equal((await ask('GET /v2/images')).status, 200)
    for (const socket of sockets) socket.destroy()
  })
})

describe('a hostile image', () => {
  const known = new Set(['qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso'])

  it('is refused by every way in, for what is wrong with it, and nothing of it is left', async () => {
    await mkdir(temp('bases'))
    const all = hostileImages(await makeBaseImages(temp('bases')))
    await rm(temp('bases'), { recursive: true })
    const images = all.filter(({ claim }) => known.has(claim))
    const step = full ? 1 : Math.ceil(images.length / 20)
    for (const [index, image] of images.entries()) {
      if (index % step !== 0) continue
      const bytes = await image.make()
      pages[`/image-${index}`] = bytes
      for (const bring of [uploaded, stagedAndImported, downloaded]) {
        const id = await create(image.claim)
        const { status, message } = await bring(id, bytes, `/image-${index}`)
        assert.match(status, /^(415|failure)$/, `${bring.name}, ${image.name}: ${message}`)
        assert.ok(message.length > 60, message)
        await isQueuedAgain(id)
        await nothingIsLeft(id)
      }
    }
  })
})

const pageUrl = (path: string, host = 'localhost') =>
  `http://${host}:${new URL(web.url).port}${path}`

/** How something ended: a task, or a request that was refused. */
interface Ending {
  readonly status: string
  readonly message: string
}

async function uploaded(id: string, bytes: Uint8Array): Promise<Ending> {
  const { status, json } = await put(id, bytes)
  return { status: `${status}`, message: json?.message ?? '' }
}

/** What is wrong with staged data may be told by either. */
async function stagedAndImported(id: string, bytes: Uint8Array): Promise<Ending> {
  const { status, json } = await put(id, bytes, 'stage')
  if (status === 204) return await imported(id, { name: 'glance-direct' })
  return { status: `${status}`, message: json?.message ?? '' }
}

async function downloaded(id: string, _bytes: Uint8Array, path: string): Promise<Ending> {
  return await webDownload(id, pageUrl(path))
}

const webDownload = async (id: string, uri: string) =>
  await imported(id, { name: 'web-download', uri })

async function imported(id: string, method: { name: string; uri?: string }): Promise<Ending> {
  const body = { method }
  const begun = await ask(`POST /v2/images/${id}/import`, { body })
  if (begun.status !== 202) return { status: `${begun.status}`, message: begun.json.message }
  return await until(async () => {
    const [task] = (await ask(`GET /v2/images/${id}/tasks`)).json.tasks
    return ['success', 'failure'].includes(task.status) ? task : undefined
  }, `the import ${method.name} ends`)
}

describe('an address to download from', () => {
  it('that is not allowed is never asked, however it is spelled or come to', async () => {
    const { port } = new URL(web.url)
    const hosts = [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0.0.0.0',
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '127。0。0。1',
      'localhost@127.0.0.1',
    ]
    const addresses = hosts.map((host) => `http://${host}:${port}/inside`)
    for (const uri of [...addresses, 'file:///etc/passwd', `ftp://localhost:${port}/inside`]) {
      const id = await create()
      const { status, message } = await webDownload(id, uri)
      assert.match(status, /^(400|failure)$/, uri)
      assert.match(message, /may not be asked for/, uri)
    }
    const sentOn = await webDownload(await create(), pageUrl('/sent-on'))
    assert.equal(sentOn.status, 'failure')
    assert.ok(!web.asked.includes('/inside'))
  })

  it('keeps its password, and callers their tokens, from tasks, answers and the log', async () => {
    const uri = `http://someone:${PASSWORD}@localhost:${new URL(web.url).port}/none`
    const id = await create()
    const task = await webDownload(id, uri)
    assert.match(task.message, /404/)
    const shownTo = await ask(`GET /v2/images/${id}/tasks`)
    const told = [shownTo.text, JSON.stringify(await shown(id)), ...server.log].join('\n')
    for (const secret of [PASSWORD, ...Object.values(TOKENS)])
      assert.ok(!told.includes(secret), `${secret} is told`)
  })
})

describe('what belongs to another project', () => {
  it('is not there, whatever is asked of it', async () => {
    const id = await create()
    assert.equal((await put(id, randomBytes(KiB))).status, 204)
    const at = `/v2/images/${id}`
    const member = { member: 'project-bob' }
    const copy = { method: { name: 'copy-image' }, stores: ['file'] }
    for (const [line, body] of [
      [`GET ${at}`],
      [`PATCH ${at}`, []],
      [`DELETE ${at}`],
      [`GET ${at}/file`],
      [`GET ${at}/file?disk_format=qcow2`],
      [`GET ${at}/formats`],
      [`PUT ${at}/file`, 'x'],
      [`PUT ${at}/stage`, 'x'],
      [`POST ${at}/import`, copy],
      [`GET ${at}/tasks`],
      [`GET ${at}/members`],
      [`POST ${at}/members`, member],
      [`PUT ${at}/members/project-bob`, { status: 'accepted' }],
      [`PUT ${at}/tags/mine`],
      [`DELETE ${at}/tags/mine`],
      [`POST ${at}/actions/deactivate`],
      [`POST ${at}/locations`, { url: 'http://localhost/x' }],
    ] as const) {
      const type = line.startsWith('PATCH')
        ? 'application/openstack-images-v2.1-json-patch'
        : OCTETS
      const { status } = await ask(line, { as: 'bob', body, type })
      assert.equal(status, 404, line)
    }
    assert.equal((await ask(`GET /v2/images?id=${id}`, { as: 'bob' })).json.images.length, 0)
    assert.equal((await ask(`GET ${at}/file`)).status, 200)
  })
})

it('nothing of all this was a fault of the server', () => {
  assert.deepEqual(
    server.log.filter((line) => line.includes('"stack"') || line.includes('"status":500')),
    [],
  )
})
