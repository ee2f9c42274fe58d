/**
 * Clients that mean no good, or have bad luck, at the real server: what they may send, where they may stop, and that
 * nothing of it stays, harms others, or tells what is nobody's business.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { assert as check, asyncProperty, boolean, constantFrom, integer } from 'fast-check'
import { KiB, MiB } from '../src/base/units.ts'
import { OCTETS, openHostileScene, TOKENS } from '../src/testing/hostile-scene.ts'

const full = process.env['INGOT_TEST_FULL'] === '1'
const scene = await openHostileScene()
const { ask, put, create, shown, until, filesLeft, dial, faults } = scene

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
      const closed = once(socket, 'close')
      for (let sent = 0; sent < count && !socket.destroyed; sent += 1) {
        if (isChunked) socket.write(`${part.length.toString(16)}\r\n`)
        if (!socket.write(part)) await Promise.race([once(socket, 'drain'), closed])
        if (isChunked) socket.write('\r\n')
      }
      socket.end(isChunked ? '0\r\n\r\n' : '')
      await closed
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

it('nothing of all this was a fault of the server', () => assert.deepEqual(faults(), []))
