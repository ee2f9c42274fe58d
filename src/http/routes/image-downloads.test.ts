import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { runTool } from '../../base/process.ts'
import { BARE_RAW, openImageDataScene } from '../../testing/image-data-scene.ts'

const scene = await openImageDataScene()
const { at, disk, server, created, get, shown, uploaded, qcow2 } = scene

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
