import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { runTool } from '../../base/process.ts'
import { KiB, MiB } from '../../base/units.ts'
import type { Image } from '../../images/image.ts'
import { makeBaseImages } from '../../testing/hostile/base-images.ts'
import { hostileImages } from '../../testing/hostile/hostile-images.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openTestServer, type TestServer } from '../../testing/test-service.ts'

const at = await tempDir()
const disk = Buffer.alloc(3 * MiB)
randomBytes(300 * KiB).copy(disk, 64 * KiB)
disk.fill('all work and no play ', 2 * MiB, 2 * MiB + 100 * KiB)
await writeFile(at('disk'), disk)

let server: TestServer
before(async () => {
  server = await openTestServer()
})
after(() => server[Symbol.asyncDispose]())

const OCTETS = { 'content-type': 'application/octet-stream' }
const BARE_RAW = { disk_format: 'raw', container_format: 'bare' }

async function created(fields: object = BARE_RAW): Promise<string> {
  const { json } = await server.ask('POST /v2/images', {
    as: 'alice',
    body: { name: 'x', ...fields },
  })
  return json.id
}

async function put(id: string, body: Buffer, headers: Record<string, string> = {}, what = 'file') {
  const all = { ...OCTETS, ...headers }
  return await server.ask(`PUT /v2/images/${id}/${what}`, { as: 'alice', body, headers: all })
}

async function get(id: string, query = '', headers: Record<string, string> = {}, method = 'GET') {
  const sent = { 'x-auth-token': 'alice', ...headers }
  const answer = await fetch(`${server.url}/v2/images/${id}/file${query}`, {
    method,
    headers: sent,
  })
  return {
    status: answer.status,
    headers: answer.headers,
    bytes: Buffer.from(await answer.arrayBuffer()),
  }
}

async function shown(id: string): Promise<Image> {
  const image = await server.service.catalog.get(id)
  assert.ok(image)
  return image
}

/** Every object in every store, of images that are there. */
async function objects(): Promise<string[]> {
  const keys: string[] = []
  for (const store of server.service.stores.all)
    for await (const { key } of store.list!()) keys.push(key)
  return keys
}

/** The image waits for data again, and nothing is left of what came. */
async function isQueuedAgain(id: string): Promise<void> {
  while ((await server.service.ledger.holderOf(id)) !== undefined)
    await new Promise((resolve) => setImmediate(resolve))
  const { status, size, checksum, locations } = await shown(id)
  assert.deepEqual(
    { status, size, checksum, locations },
    {
      status: 'queued',
      size: null,
      checksum: null,
      locations: [],
    },
  )
  assert.deepEqual(
    (await objects()).filter((key) => key.startsWith(id)),
    [],
  )
}

async function uploaded(bytes: Buffer, fields: object = BARE_RAW): Promise<string> {
  const id = await created(fields)
  const { status, text } = await put(id, bytes)
  assert.equal(status, 204, text)
  return id
}

describe('data that is put', () => {
  it('makes the image active, with sizes and digests', async () => {
    const id = await uploaded(disk)
    const { status, size, virtualSize, checksum, hashAlgorithm, hashValue, locations } =
      await shown(id)
    assert.deepEqual([status, size, virtualSize], ['active', disk.length, disk.length])
    assert.equal(checksum, createHash('md5').update(disk).digest('hex'))
    assert.equal(hashAlgorithm, 'sha512')
    assert.equal(hashValue, createHash('sha512').update(disk).digest('hex'))
    assert.deepEqual(
      locations.map(({ store }) => store),
      ['fast'],
    )
    const { bytes } = await get(id)
    assert.ok(bytes.equals(disk))
  })

  it('goes to the store that is named', async () => {
    const id = await created()
    assert.equal((await put(id, disk, { 'x-image-meta-store': 'slow' })).status, 204)
    assert.deepEqual(
      (await shown(id)).locations.map(({ store }) => store),
      ['slow'],
    )
    const other = await created()
    assert.equal((await put(other, disk, { 'x-image-meta-store': 'none' })).status, 400)
    await isQueuedAgain(other)
  })

  it('may come in chunks of any size', async () => {
    const id = await created()
    const chunks = async function* () {
      for (let from = 0, size = 1; from < disk.length; from += size, size = (size * 7) % 99_991)
        yield disk.subarray(from, from + size)
    }
    const { status } = await fetch(`${server.url}/v2/images/${id}/file`, {
      method: 'PUT',
      headers: {
        ...OCTETS,
        'x-auth-token': 'alice',
        'x-openstack-image-size': String(disk.length),
      },
      body: chunks(),
      duplex: 'half',
    })
    assert.equal(status, 204)
    assert.equal((await shown(id)).checksum, createHash('md5').update(disk).digest('hex'))
  })

  it('may be of any length, none at all and less than a sector too', async () => {
    for (const length of [0, 1, 511, 513]) {
      const bytes = disk.subarray(64 * KiB, 64 * KiB + length)
      const id = await uploaded(bytes)
      assert.equal((await shown(id)).size, length)
      assert.ok((await get(id)).bytes.equals(bytes))
      const { status, json } = await server.ask(`GET /v2/images/${id}/formats`, { as: 'alice' })
      assert.deepEqual([status, json.formats.length > 1], [200, length > 0])
      assert.equal((await get(id, '?disk_format=qcow2')).status, length > 0 ? 200 : 409)
    }
  })

  it('is refused before it is read when it cannot be taken', async () => {
    const active = await uploaded(disk)
    assert.equal((await put(active, disk)).status, 409)
    const without = await created({})
    assert.equal((await put(without, disk)).status, 400)
    const id = await created()
    assert.equal((await put(id, disk, { 'content-type': 'application/json' })).status, 415)
    for (const size of ['7', 'many', '-1'])
      assert.equal((await put(id, disk, { 'x-openstack-image-size': size })).status, 400)
    assert.equal((await put('00000000-0000-0000-0000-000000000000', disk)).status, 404)
    await isQueuedAgain(id)
  })

  it('has to be of the format that the image says', async () => {
    const id = await created({ disk_format: 'qcow2', container_format: 'bare' })
    assert.equal((await put(id, disk)).status, 415)
    await isQueuedAgain(id)
    assert.equal((await put(id, await qcow2())).status, 204)
    assert.equal((await shown(id)).virtualSize, disk.length)
  })

  it('comes to one image once, however many bring it', async () => {
    const id = await created()
    const answers = await Promise.all([put(id, disk), put(id, disk), put(id, disk)])
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [204, 409, 409],
    )
    assert.equal((await objects()).filter((key) => key.startsWith(id)).length, 1)
  })

  it('of a client that leaves, wherever, is forgotten', async () => {
    for (const length of [0, 1, 65_536, 1_000_000, disk.length - 1]) {
      const id = await created()
      await cutOff(id, `Content-Length: ${disk.length}`, disk.subarray(0, length))
      await isQueuedAgain(id)
      await cutOff(id, 'Transfer-Encoding: chunked', Buffer.from('ffff\r\nand no more'))
      await isQueuedAgain(id)
      assert.equal((await put(id, disk)).status, 204)
    }
  })

  it('of an image that is deleted meanwhile is gone too', async () => {
    const id = await created()
    const { socket, answer } = await begun(id, `Content-Length: ${disk.length}`)
    socket.write(disk.subarray(0, MiB))
    while ((await shown(id)).status !== 'saving')
      await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await server.ask(`DELETE /v2/images/${id}`, { as: 'alice' })).status, 204)
    assert.match(await answer, /^HTTP\/1.1 410 /)
    socket.destroy()
    assert.deepEqual(
      (await objects()).filter((key) => key.startsWith(id)),
      [],
    )
  })

  it('may be anything but harmful', async () => {
    await mkdir(at('bases'))
    const images = hostileImages(await makeBaseImages(at('bases')))
    await rm(at('bases'), { recursive: true })
    const known = new Set(['qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso', 'raw'])
    const step = Math.ceil(images.length / 25)
    for (const [index, image] of images.entries()) {
      const isOurs = known.has(image.claim) && !image.name.includes('claim')
      if (index % step !== 0 || !isOurs || image.claim === 'raw') continue
      const id = await created({ disk_format: image.claim, container_format: 'bare' })
      const { status, text } = await put(id, await image.make())
      assert.equal(status, 415, `${image.name}: ${text}`)
      await isQueuedAgain(id)
    }
  })

  it('does not fit into a store that is full', async () => {
    const list = [{ id: 'fast', type: 'memory', options: { max_size: MiB } }]
    await using small = await openTestServer({ config: { stores: { default: 'fast', list } } })
    const { json } = await small.ask('POST /v2/images', { body: BARE_RAW })
    const line = `PUT /v2/images/${json.id}/file`
    assert.equal((await small.ask(line, { body: disk, headers: OCTETS })).status, 413)
    assert.equal((await small.service.catalog.get(json.id))?.status, 'queued')
    const [store] = small.service.stores.all
    for await (const { key } of store!.list!()) assert.fail(`${key} is left`)
  })

  it('is held to the limits of the project', async () => {
    const quotas = { default: { image_size_total: 4 }, projects: {} }
    await using limited = await openTestServer({ config: { quotas } })
    const answers = []
    for (let count = 0; count < 2; count++) {
      const { json } = await limited.ask('POST /v2/images', { body: BARE_RAW })
      const line = `PUT /v2/images/${json.id}/file`
      answers.push((await limited.ask(line, { body: disk, headers: OCTETS })).status)
    }
    assert.deepEqual(answers, [204, 413])
  })
})

describe('data that is fetched', () => {
  let id = ''
  before(async () => {
    id = await uploaded(disk)
  })

  it('is nothing as long as there is none', async () => {
    const { status, bytes } = await get(await created())
    assert.deepEqual([status, bytes.length], [204, 0])
  })

  it('has a length, a digest and a tag', async () => {
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await get(id, '', {}, method)
      assert.equal(status, 200)
      assert.equal(headers.get('content-type'), 'application/octet-stream')
      assert.equal(headers.get('content-length'), String(disk.length))
      assert.equal(headers.get('content-md5'), createHash('md5').update(disk).digest('hex'))
      assert.equal(headers.get('etag'), `"${createHash('sha512').update(disk).digest('hex')}"`)
    }
  })

  it('may be a range, which Content-Range asks for too', async () => {
    const end = disk.length
    for (const [header, from, to] of [
      ['bytes=100-199', 100, 200],
      ['bytes=3000000-', 3_000_000, end],
      ['bytes=-5', end - 5, end],
      [`bytes=0-${end * 2}`, 0, end],
    ] as const) {
      const { status, headers, bytes } = await get(id, '', { range: header })
      assert.deepEqual(
        [status, headers.get('content-range')],
        [206, `bytes ${from}-${to - 1}/${end}`],
      )
      assert.ok(bytes.equals(disk.subarray(from, to)))
    }
    const old = await get(id, '', { 'content-range': `bytes 100-199/${end}` })
    assert.equal(old.status, 206)
    assert.ok(old.bytes.equals(disk.subarray(100, 200)))
  })

  it('is refused when the range cannot be', async () => {
    for (const range of [
      `bytes=${disk.length}-`,
      'bytes=5-2',
      'bytes=1-2,5-6',
      'lines=1-2',
      'bytes=-0',
    ])
      assert.equal((await get(id, '', { range })).status, 416, range)
    assert.equal((await get(id, '', { 'content-range': 'nonsense' })).status, 416)
  })

  it('is not sent again when nothing has changed', async () => {
    const etag = (await get(id, '', {}, 'HEAD')).headers.get('etag') ?? ''
    assert.equal((await get(id, '', { 'if-none-match': etag })).status, 304)
    assert.equal((await get(id, '', { 'if-range': '"other"', range: 'bytes=0-1' })).status, 200)
    assert.equal((await get(id, '', { 'if-range': etag, range: 'bytes=0-1' })).status, 206)
  })

  it('of a deactivated image is for administrators', async () => {
    const other = await uploaded(disk)
    await server.ask(`POST /v2/images/${other}/actions/deactivate`)
    assert.equal((await get(other)).status, 403)
    assert.equal((await get(other, '', { 'x-auth-token': 'admin' })).status, 200)
  })

  it('is not for strangers', async () => {
    assert.equal((await get(id, '', { 'x-auth-token': 'bob' })).status, 404)
    assert.equal((await get(id, '', { 'x-auth-token': 'reader' })).status, 403)
  })

  it('comes from the store that is preferred, or from the next one that has it', async () => {
    const { catalog, database, stores } = server.service
    const both = await uploaded(disk)
    await using writer = await stores.get('slow').create(`${both}.copy`)
    await writer.write(0, disk)
    await writer.finish(disk.length)
    const url = stores.get('slow').locate(`${both}.copy`)
    const location = { id: `${both}-2`, store: 'slow', key: `${both}.copy`, url, metadata: {} }
    await database.write((tx) => catalog.addLocation(tx, both, location))
    const opened = () => stores.all.map((store) => store.counters.opened)
    const countsOf = async (query: string) => {
      const earlier = opened()
      assert.ok((await get(both, query)).bytes.equals(disk))
      return opened().map((count, index) => count - (earlier[index] ?? 0))
    }
    const slow = stores.all.findIndex((store) => store.id === 'slow')
    assert.equal((await countsOf('?prefer=slow,fast'))[slow], 1)
    assert.equal((await countsOf('?prefer=fast'))[slow], 0)
    assert.equal((await get(both, '?prefer=nowhere')).status, 400)
    const first = (await shown(both)).locations.find(({ store }) => store === 'fast')
    await stores.get('fast').remove(first?.key ?? '')
    assert.equal((await countsOf('?prefer=fast'))[slow], 1)
  })

  it('that is nowhere any more is an error, and not half an answer', async () => {
    const lost = await uploaded(disk)
    const [location] = (await shown(lost)).locations
    await server.service.stores.get('fast').remove(location?.key ?? '')
    assert.equal((await get(lost)).status, 404)
  })
})

describe('another format', () => {
  let id = ''
  before(async () => {
    id = await uploaded(disk)
  })

  it('holds the same disk, with an exact length, whole and by range', async () => {
    for (const [format, driver] of [
      ['qcow2', 'qcow2'],
      ['vhd', 'vpc'],
      ['vhdx', 'vhdx'],
      ['vdi', 'vdi'],
      ['vmdk', 'vmdk'],
    ] as const) {
      const query = `?disk_format=${format}`
      const { status, headers, bytes } = await get(id, query)
      assert.deepEqual([status, headers.get('content-length')], [200, String(bytes.length)])
      await writeFile(at('view'), bytes)
      await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', driver, at('disk'), at('view')])
      const part = await get(id, query, { range: 'bytes=70000-99999' })
      assert.equal(part.status, 206)
      assert.ok(part.bytes.equals(bytes.subarray(70_000, 100_000)))
      assert.equal((await get(id, query, {}, 'HEAD')).headers.get('etag'), headers.get('etag'))
    }
  })

  it('may be compressed, or an archive that clouds import', async () => {
    assert.ok(gunzipSync((await get(id, '?disk_format=raw&compressed=true')).bytes).equals(disk))
    const { bytes } = await get(id, '?disk_format=vmdk&compressed=true')
    await writeFile(at('view'), bytes)
    await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'vmdk', at('disk'), at('view')])
    const ova = await get(id, '?disk_format=ova')
    assert.equal(ova.headers.get('content-length'), String(ova.bytes.length))
    assert.equal(
      (await get(id, '?disk_format=tar.gz')).headers.get('content-type'),
      'application/gzip',
    )
    assert.equal((await get(id, '?disk_format=vhd&compressed=true')).status, 400)
    assert.equal((await get(id, '?disk_format=floppy')).status, 400)
  })

  it('is chosen by media type too, unless anything is taken', async () => {
    const qemu = await get(id, '', { accept: 'application/x-qemu-disk' })
    assert.equal(qemu.bytes.toString('latin1', 0, 4), 'QFI\xfb')
    for (const accept of ['*/*', 'application/json', 'application/octet-stream'])
      assert.ok((await get(id, '', { accept })).bytes.equals(disk))
  })

  it('is made of whatever is stored, and what was learned of it is kept', async () => {
    const bytes = await qcow2()
    const stored = await uploaded(bytes, { disk_format: 'qcow2', container_format: 'bare' })
    assert.ok((await get(stored)).bytes.equals(bytes))
    assert.equal(await server.service.catalog.readAttachment(stored, 'map'), undefined)
    const raws = await Promise.all(['', '', ''].map(() => get(stored, '?disk_format=raw')))
    for (const raw of raws) assert.ok(raw.bytes.equals(disk))
    assert.ok(await server.service.catalog.readAttachment(stored, 'map'))
  })

  it('of a disk larger than any is not made: its map alone would take memory and room', async () => {
    await runTool(['qemu-img', 'create', '-q', '-f', 'vhdx', at('large'), '17T'])
    const large = await uploaded(await readFile(at('large')), { ...BARE_RAW, disk_format: 'vhdx' })
    assert.equal((await get(large, '?disk_format=raw')).status, 409)
    assert.equal((await get(large, '?disk_format=vhdx')).status, 200)
    const { json } = await server.ask(`GET /v2/images/${large}/formats`, { as: 'alice' })
    assert.equal(json.formats.length, 1)
  })

  it('of what is no disk there is none', async () => {
    const packed = await uploaded(disk, { disk_format: 'raw', container_format: 'ova' })
    assert.equal((await get(packed, '?disk_format=qcow2')).status, 409)
  })

  it('is listed with its length', async () => {
    const { json } = await server.ask(`GET /v2/images/${id}/formats`, { as: 'alice' })
    const byName = new Map<string, { size: number; stored: boolean }>(
      json.formats.map((row: { name: string }) => [row.name, row]),
    )
    assert.deepEqual([byName.get('raw')?.stored, byName.get('raw')?.size], [true, disk.length])
    const { bytes } = await get(id, '?disk_format=vhdx')
    assert.equal(byName.get('vhdx')?.size, bytes.length)
    const empty = await server.ask(`GET /v2/images/${await created()}/formats`, { as: 'alice' })
    assert.deepEqual(empty.json, { formats: [] })
  })
})

let made: Buffer | undefined
async function qcow2(): Promise<Buffer> {
  if (made === undefined) {
    await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', at('disk'), at('qcow2')])
    made = await readFile(at('qcow2'))
  }
  return made
}

/** An upload of which the head is sent; and what the server answers, once it does. */
async function begun(id: string, header: string) {
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  const lines = [
    `PUT /v2/images/${id}/file HTTP/1.1`,
    'Host: x',
    'X-Auth-Token: alice',
    'Content-Type: application/octet-stream',
    header,
  ]
  const answer = once(socket, 'data').then(([bytes]) => String(bytes))
  answer.catch(() => {})
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  return { socket, answer }
}

/** Sends a part of an upload, and leaves once the image is saving. */
async function cutOff(id: string, header: string, body: Buffer): Promise<void> {
  const { socket } = await begun(id, header)
  socket.write(body)
  while ((await shown(id)).status !== 'saving')
    await new Promise((resolve) => setImmediate(resolve))
  socket.destroy()
}
