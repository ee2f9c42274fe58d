import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { FailureCode } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { importOf } from '../testing/import-bench.ts'
import { assertUnlocked, DISK, importBenches, importInto, sha512 } from '../testing/import-scene.ts'
import { qemuImages } from '../testing/qemu-images.ts'
import { flawedPage, openWebServer } from '../testing/web-server.ts'
import type { ImportRequest } from './imports.ts'

const openBench = await importBenches()
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe('an import', () => {
  it('from the web shows its lock while it runs, and leaves an active image', async () => {
    await using server = await openWebServer({ '/disk.raw': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image()
    const parameters = { uri: `${server.url}/disk.raw` }
    const { image, during, task } = await importInto(one, id, { parameters })
    assert.equal(during.status, 'importing')
    assert.equal(during.properties['os_glance_import_task'], task.id)
    assert.equal(during.properties['os_glance_importing_to_stores'], 'a')
    assert.equal(during.properties['os_glance_failed_import'], '')

    assert.deepEqual([task.status, task.message], ['success', 'Copied 3 MiB'])
    assert.deepEqual([task.owner, task.userId, task.requestId], ['p1', 'u1', 'req-1'])
    assert.ok(task.expiresAt)
    assert.deepEqual(
      [image.status, image.size, image.virtualSize, image.hashValue],
      ['active', DISK.length, DISK.length, sha512(DISK)],
    )
    assertUnlocked(image)
    assert.ok((await bench.content(image, 'a')).equals(DISK))
    assert.equal((await bench.keys('a')).length, 1)
    assert.ok(await one.catalog.readAttachment(id, 'map'))
  })

  it('unpacks and converts on the way, and takes the digest of what came', async () => {
    const made = await qemuImages('qcow2', DISK)
    const qcow2 = await readFile(await made.converted())
    const packed = gzipSync(qcow2)
    await using server = await openWebServer({ '/disk': packed })
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image({ diskFormat: 'qcow2' })
    const parameters = { uri: `${server.url}/disk`, checksum: `sha256:${sha256(packed)}` }
    const { image } = await importInto(one, id, { parameters })
    assert.deepEqual([image.status, image.diskFormat, image.size], ['active', 'raw', DISK.length])
    assert.ok((await bench.content(image, 'a')).equals(DISK))
  })

  it('goes on over connections that break', async () => {
    const page = flawedPage(DISK, { cuts: [MiB, 100_000] })
    await using server = await openWebServer({ '/disk': page })
    await using bench = await openBench()
    const { id } = await bench.image()
    const one = await bench.server()
    const parameters = { uri: `${server.url}/disk` }
    const { image } = await importInto(one, id, { parameters })
    assert.equal(image.hashValue, sha512(DISK))
    assert.equal(page.heard.length, 3)
  })

  it('that fails leaves the image queued, the reason in its task, and nothing in the store', async () => {
    const other = Buffer.concat([DISK.subarray(0, 10), DISK])
    await using server = await openWebServer({
      '/changes': flawedPage(DISK, { cuts: [MiB], ranges: false, contents: [DISK, other] }),
      '/cut': flawedPage(DISK, { cuts: [MiB, 0, 0, 0] }),
      '/inside': (_, response) => response.writeHead(302, { location: 'http://10.0.0.1/' }).end(),
      '/disk': DISK,
    })
    await using bench = await openBench()
    const one = await bench.server()
    const cases: [string, FailureCode | RegExp, object?][] = [
      ['/changes', /changed while it was downloaded/],
      ['/cut', /ended before the content|aborted|hang up/],
      ['/inside', /host 10.0.0.1 is not allowed/],
      ['/nothing', /the server answers 404/],
      ['/disk', /sha256 digest/, { checksum: { algorithm: 'sha256', value: 'ab'.repeat(32) } }],
    ]
    for (const [path, reason, more = {}] of cases) {
      const { id } = await bench.image({ id: `11111111-2222-4333-8444-${path.slice(1)}` })
      const parameters = { uri: `${server.url}${path}`, ...more }
      const { image, task } = await importInto(one, id, { parameters })
      assert.equal(task.status, 'failure', path)
      assert.match(task.message, reason as RegExp)
      assert.deepEqual([image.status, image.size], ['queued', null], path)
      assertUnlocked(image)
      await one.drain()
      assert.deepEqual(await bench.keys('a'), [], path)
    }
  })

  it('refuses content that is not what the image says, and room that is not there', async () => {
    await using server = await openWebServer({ '/disk': DISK })
    await using bench = await openBench({ room: { a: MiB }, import: { steps: [] } })
    const one = await bench.server()
    const parameters = { uri: `${server.url}/disk` }
    const wrong = await bench.image({ diskFormat: 'qcow2' })
    const mismatch = await importInto(one, wrong.id, { parameters, stores: ['b'] })
    assert.deepEqual([mismatch.image.status, mismatch.task.status], ['queued', 'failure'])
    const full = await importInto(one, wrong.id, { parameters })
    assert.equal(full.image.status, 'queued')
    assert.equal(full.image.properties['os_glance_failed_import'], 'a')
    assert.deepEqual([await bench.keys('a'), await bench.keys('b')], [[], []])
  })
})

describe('a request to import', () => {
  it('is refused when the image, the method, the store or the address does not fit', async () => {
    await using bench = await openBench({ import: { methods: ['web-download', 'copy-image'] } })
    const one = await bench.server()
    const queued = await bench.image({ id: 'queued' })
    const bare = await bench.image({ id: 'bare', containerFormat: null })
    const active = await bench.active(DISK, { id: 'active' })
    const web = { parameters: { uri: 'http://127.0.0.1/x' } }
    const cases: [FailureCode, typeof queued, Partial<ImportRequest>][] = [
      ['REQUEST_INVALID', queued, { ...web, method: 'teleport' }],
      ['REQUEST_INVALID', queued, { method: 'glance-direct' }],
      ['IMAGE_STATE', active, web],
      ['IMAGE_STATE', bare, web],
      ['IMAGE_STATE', queued, { method: 'copy-image' }],
      ['IMPORT_STORE_UNKNOWN', queued, { ...web, stores: ['nowhere'] }],
      ['IMPORT_STORE_UNKNOWN', queued, { ...web, stores: ['web'] }],
      ['REQUEST_INVALID', queued, { ...web, stores: [] }],
      ['REQUEST_INVALID', queued, {}],
      ['REQUEST_INVALID', queued, { parameters: { uri: 7 } }],
      ['REQUEST_INVALID', queued, { parameters: { uri: 'file:///etc/passwd' } }],
      ['REQUEST_INVALID', queued, { parameters: { uri: 'http://169.254.169.254/' } }],
      ['REQUEST_INVALID', queued, { parameters: { ...web.parameters, checksum: 'crc32:00' } }],
    ]
    for (const [code, image, request] of cases)
      await assert.rejects(
        one.imports.begin(image, importOf(request)),
        failsWith(code),
        JSON.stringify(request),
      )
    assert.deepEqual((await one.catalog.get('queued'))?.properties, {})
    assert.deepEqual(await one.ledger.list({}), [])
  })

  it('is refused while other work has the image', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const image = await bench.active(DISK)
    await one.imports.begin(image, importOf({ method: 'copy-image', stores: ['b'] }))
    await assert.rejects(
      one.imports.begin(image, importOf({ method: 'copy-image', stores: ['c'] })),
      failsWith('SUBJECT_BUSY'),
    )
  })

  it('is refused when the project has had enough, and so is data that is too much', async () => {
    await using server = await openWebServer({ '/disk': DISK })
    await using bench = await openBench({ quotas: { image_size_total: 5 } })
    const one = await bench.server()
    const first = await bench.image({ id: 'first' })
    const second = await bench.image({ id: 'second' })
    const parameters = { uri: `${server.url}/disk` }
    assert.equal((await importInto(one, first.id, { parameters })).image.status, 'active')
    const { image, task } = await importInto(one, second.id, { parameters })
    assert.deepEqual([image.status, task.status], ['queued', 'failure'])
    const active = await one.catalog.get(first.id)
    assert.ok(active)
    await assert.rejects(
      one.imports.begin(active, importOf({ method: 'copy-image', stores: ['b'] })),
      failsWith('QUOTA_EXCEEDED'),
    )
  })
})
