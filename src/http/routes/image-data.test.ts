import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import { KiB, MiB } from '../../base/units.ts'
import { makeBaseImages } from '../../testing/hostile/base-images.ts'
import { hostileImages } from '../../testing/hostile/hostile-images.ts'
import { BARE_RAW, OCTETS, openImageDataScene } from '../../testing/image-data-scene.ts'
import { openTestServer } from '../../testing/test-service.ts'

const scene = await openImageDataScene()
const { at, disk, server, created, put, get, shown, objects, uploaded, qcow2 } = scene

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

  it('is counted when the kernel gives it out of a file by itself', async () => {
    const stores = { default: 'disk', list: [{ id: 'disk', type: 'file' }] }
    await using files = await openTestServer({ config: { stores } })
    const { json } = await files.ask('POST /v2/images', { body: { name: 'x', ...BARE_RAW } })
    const path = `/v2/images/${json.id}/file`
    await files.ask(`PUT ${path}`, { body: disk, headers: OCTETS })
    assert.equal((await files.ask(`GET ${path}`)).status, 200)
    const { text } = await files.ask('GET /metrics')
    const sent = Number(/^ingot_http_sent_bytes_total (\d+)$/m.exec(text)?.[1])
    assert.ok(sent >= disk.length, `${sent} of ${disk.length} bytes were counted`)
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
