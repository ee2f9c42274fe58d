import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Failure, type FailureCode } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { openKeystone } from '../clouds/keystone.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import {
  type BenchOptions,
  ImportBench,
  type ImportServer,
  importOf,
  MEMBER,
  outcomeOf,
  uploadOf,
} from '../testing/import-bench.ts'
import { qemuImages } from '../testing/qemu-images.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { flawedPage, openWebServer } from '../testing/web-server.ts'
import { openStaged } from '../images/staged.ts'
import type { ImportRequest } from './imports.ts'

const inTemp = await tempDir()
let opened = 0

async function openBench(options: BenchOptions = {}): Promise<ImportBench> {
  return await ImportBench.open(inTemp(`catalog-${(opened += 1)}.db`), inTemp('.'), options)
}

const DISK = Buffer.alloc(3 * MiB)
DISK.fill('guest', MiB, MiB + 70_000)
const sha512 = (bytes: Uint8Array) => createHash('sha512').update(bytes).digest('hex')
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Imports, and has it done; what the image and the task are then. */
async function importInto(
  bench: ImportBench,
  one: ImportServer,
  imageId: string,
  request: Partial<ImportRequest>,
) {
  const before = await one.catalog.get(imageId)
  assert.ok(before)
  const begun = await one.imports.begin(before, importOf(request))
  const during = await one.catalog.get(imageId)
  await one.drain()
  const image = await one.catalog.get(imageId)
  assert.ok(image && during)
  return { image, during, task: await outcomeOf(one, begun) }
}

function assertUnlocked({ properties }: { properties: Readonly<Record<string, string>> }) {
  assert.equal(properties['os_glance_import_task'], undefined)
  assert.equal(properties['os_glance_importing_to_stores'], '')
}

async function stage(bench: ImportBench, one: ImportServer, content: Uint8Array = DISK) {
  const { id } = await bench.image()
  const staged = await one.uploads.stage(uploadOf(id, content))
  assert.equal(staged.status, 'uploading')
  return id
}

/** Begins a download that waits in the middle of being written. */
async function beginStuck(bench: ImportBench, url: string, server: ImportServer) {
  const image = await bench.image()
  const parameters = { uri: `${url}/disk` }
  const task = await server.imports.begin(image, importOf({ parameters }))
  const writing = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  bench.hook('a', async (what) => {
    if (what !== 'write') return
    writing.resolve()
    await goOn.promise
  })
  const work = server.drain()
  await writing.promise
  return { image, task, goOn: goOn.resolve, die: goOn.reject, work }
}

describe('an import', () => {
  it('from the web shows its lock while it runs, and leaves an active image', async () => {
    await using server = await openWebServer({ '/disk.raw': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image()
    const parameters = { uri: `${server.url}/disk.raw` }
    const { image, during, task } = await importInto(bench, one, id, { parameters })
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
    const { image } = await importInto(bench, one, id, { parameters })
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
    const { image } = await importInto(bench, one, id, { parameters })
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
      const { id } = await bench.image({ id: `11111111-2222-4333-8444-${opened}${path.slice(1)}` })
      const parameters = { uri: `${server.url}${path}`, ...more }
      const { image, task } = await importInto(bench, one, id, { parameters })
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
    const mismatch = await importInto(bench, one, wrong.id, { parameters, stores: ['b'] })
    assert.deepEqual([mismatch.image.status, mismatch.task.status], ['queued', 'failure'])
    const full = await importInto(bench, one, wrong.id, { parameters })
    assert.equal(full.image.status, 'queued')
    assert.equal(full.image.properties['os_glance_failed_import'], 'a')
    assert.deepEqual([await bench.keys('a'), await bench.keys('b')], [[], []])
  })
})

describe('staged data', () => {
  const direct = { method: 'glance-direct' }

  it('becomes the image where it stands: nothing is written again', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const id = await stage(bench, one)
    const before = await bench.keys('a')
    bench.hook('a', async (what) => assert.ok(what === 'open', what))
    const { image, task } = await importInto(bench, one, id, direct)
    assert.deepEqual([task.status, image.status], ['success', 'active'])
    assert.deepEqual(await bench.keys('a'), before)
    assert.deepEqual([image.size, image.hashValue], [DISK.length, sha512(DISK)])
    assert.ok((await bench.content(image, 'a')).equals(DISK))
    const { staged } = await one.catalog.usage('p1')
    assert.equal(staged, 0)
  })

  it('is copied to other stores, and removed where it is not wanted', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const id = await stage(bench, one)
    const { image } = await importInto(bench, one, id, { ...direct, stores: ['b', 'c'] })
    assert.deepEqual(image.locations.map(({ store }) => store).toSorted(), ['b', 'c'])
    for (const store of ['b', 'c']) assert.ok((await bench.content(image, store)).equals(DISK))
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('is gone when its import failed, and the image is queued', async () => {
    await using bench = await openBench({ room: { b: MiB } })
    const one = await bench.server()
    const id = await stage(bench, one)
    const { image, task } = await importInto(bench, one, id, {
      ...direct,
      allStores: true,
      stores: [],
    })
    assert.deepEqual([image.status, task.status], ['queued', 'failure'])
    assert.match(task.message, /b/)
    await one.drain()
    for (const store of ['a', 'b', 'c']) assert.deepEqual(await bench.keys(store), [], store)
    await one.uploads.stage(uploadOf(id, DISK))
    const again = await importInto(bench, one, id, direct)
    assert.equal(again.image.status, 'active')
  })

  it('that was refused fails its import with the reason, and the image can be staged anew', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const { id } = await bench.image({ diskFormat: 'qcow2' })
    const staged = await one.uploads.stage(uploadOf(id, DISK))
    assert.equal(staged.status, 'uploading')
    assert.equal((await one.catalog.usage('p1')).staged, 0)
    const { image, task } = await importInto(bench, one, id, direct)
    assert.deepEqual([image.status, image.size, task.status], ['queued', null, 'failure'])
    assert.match(task.message, /is said to be qcow2|not qcow2/)
    assert.equal(await openStaged(one.catalog).find(id), undefined)
    for (const store of ['a', 'b', 'c']) assert.deepEqual(await bench.keys(store), [], store)
    const made = await qemuImages('qcow2', DISK)
    await one.uploads.stage(uploadOf(id, await readFile(await made.converted())))
    const again = await importInto(bench, one, id, direct)
    assert.deepEqual([again.image.status, again.task.status], ['active', 'success'])
  })

  it('is active after the first store if not all must succeed, and says which failed', async () => {
    await using bench = await openBench({ import: { parallel_stores: 1 } })
    const one = await bench.server()
    const id = await stage(bench, one)
    const seen: (string | undefined)[] = []
    bench.hook('b', async (what) => {
      if (what === 'remove') return
      const now = await one.catalog.get(id)
      seen.push(now?.status, now?.properties['os_glance_importing_to_stores'])
      throw new Failure('STORE_AWAY', 'store b is away')
    })
    const { image, task } = await importInto(bench, one, id, {
      ...direct,
      allStores: true,
      stores: [],
      allMustSucceed: false,
    })
    assert.deepEqual(seen, ['active', 'b,c'])
    assert.equal(task.status, 'success')
    assert.deepEqual(
      image.locations.map(({ store }) => store),
      ['a', 'c'],
    )
    assert.equal(image.properties['os_glance_failed_import'], 'b')
    assertUnlocked(image)
    await one.drain()
    assert.deepEqual(await bench.keys('b'), [])
  })
})

describe('a copy to further stores', () => {
  const copy = { method: 'copy-image', stores: ['b'] }

  it('leaves the image active throughout, and adds what is whole', async () => {
    await using bench = await openBench()
    const { id } = await bench.active(DISK)
    const one = await bench.server()
    const { image, during, task } = await importInto(bench, one, id, copy)
    assert.deepEqual([during.status, image.status, task.status], ['active', 'active', 'success'])
    assert.ok((await bench.content(image, 'b')).equals(DISK))
    const { owner, properties } = image
    assert.deepEqual([owner, Object.keys(properties).length], ['p1', 2])
  })

  it('that fails leaves the image as it was', async () => {
    await using bench = await openBench()
    const before = await bench.active(DISK)
    const one = await bench.server()
    bench.hook('c', async () => {
      throw new Failure('STORE_AWAY', 'store c is away')
    })
    const { image, task } = await importInto(bench, one, before.id, { ...copy, stores: ['b', 'c'] })
    assert.deepEqual(
      [image.status, task.status, task.message],
      ['active', 'failure', 'store c is away'],
    )
    assert.deepEqual(image.locations, before.locations)
    assert.deepEqual([image.size, image.hashValue], [before.size, before.hashValue])
    bench.hook('c', undefined)
    await one.drain()
    assert.deepEqual(await bench.keys('b'), [])
  })

  it('finds out when what it reads is not what was hashed', async () => {
    await using bench = await openBench()
    const { id } = await bench.active(DISK)
    const one = await bench.server()
    await one.node.database.write(
      async (tx) => await one.catalog.update(tx, id, { hashValue: 'ab'.repeat(64) }),
    )
    const { image, task } = await importInto(bench, one, id, copy)
    assert.match(task.message, /digest/)
    assert.equal(image.locations.length, 1)
  })

  it('leaves out the stores that have the data, and refuses one that was named', async () => {
    await using bench = await openBench()
    const image = await bench.active(DISK)
    const one = await bench.server()
    const named = importOf({ ...copy, stores: ['a'] })
    await assert.rejects(one.imports.begin(image, named), failsWith('REQUEST_INVALID'))
    const all = await importInto(bench, one, image.id, { ...copy, stores: [], allStores: true })
    assert.deepEqual(all.image.locations.map(({ store }) => store).toSorted(), ['a', 'b', 'c'])
    const again = importOf({ ...copy, stores: [], allStores: true })
    assert.equal(await one.imports.begin(all.image, again), undefined)
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
    assert.equal((await importInto(bench, one, first.id, { parameters })).image.status, 'active')
    const { image, task } = await importInto(bench, one, second.id, { parameters })
    assert.deepEqual([image.status, task.status], ['queued', 'failure'])
    const active = await one.catalog.get(first.id)
    assert.ok(active)
    await assert.rejects(
      one.imports.begin(active, importOf({ method: 'copy-image', stores: ['b'] })),
      failsWith('QUOTA_EXCEEDED'),
    )
  })
})

describe('an import that is stopped', () => {
  it('is begun anew by whoever comes by when its server dies, and leaves nothing of the first attempt', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const dying = await bench.server('dying')
    const { image, task, die, work } = await beginStuck(bench, web.url, dying)
    await bench.kill(dying.node)
    bench.hook('a', undefined)
    const other = await bench.server('other')
    await other.worker.sweep()
    await other.drain()
    die(new Error('its process is gone'))
    await work.catch(() => {})
    const ended = await outcomeOf(other, task)
    assert.deepEqual([ended.status, ended.attempts], ['success', 2])
    const now = await other.catalog.get(image.id)
    assert.ok(now)
    assert.deepEqual([now.status, now.locations.length], ['active', 1])
    assert.ok((await bench.content(now, 'a')).equals(DISK))
    assert.deepEqual(
      await bench.keys('a'),
      now.locations.map(({ key }) => key),
    )
  })

  it('by being cancelled puts the image back', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { image, task, goOn, work } = await beginStuck(bench, web.url, one)
    assert.ok(task)
    await one.imports.cancel(task)
    goOn()
    await work
    const ended = await outcomeOf(one, task)
    assert.equal(ended.status, 'failure')
    assert.match(ended.message, /cancel/i)
    const now = await one.catalog.get(image.id)
    assert.equal(now?.status, 'queued')
    await one.drain()
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('by the deletion of its image leaves nothing', async () => {
    await using web = await openWebServer({ '/disk': DISK })
    await using bench = await openBench()
    const one = await bench.server()
    const { image, task, goOn, work } = await beginStuck(bench, web.url, one)
    await one.images.delete(image.id)
    goOn()
    await work
    assert.equal((await outcomeOf(one, task)).status, 'failure')
    assert.equal(await one.catalog.get(image.id), undefined)
    await one.drain()
    assert.deepEqual(await bench.keys('a'), [])
  })

  it('after the first of its stores goes on with the others', async () => {
    await using bench = await openBench({ import: { parallel_stores: 1 } })
    const { id } = await bench.image()
    const dying = await bench.server('dying')
    await dying.uploads.stage(uploadOf(id, DISK))
    const image = await dying.catalog.get(id)
    assert.ok(image)
    const request = importOf({
      method: 'glance-direct',
      stores: ['a', 'b', 'c'],
      allMustSucceed: false,
    })
    const task = await dying.imports.begin(image, request)
    const reached = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    bench.hook('c', async () => {
      reached.resolve()
      await goOn.promise
    })
    const work = dying.drain()
    await reached.promise
    await bench.kill(dying.node)
    bench.hook('c', undefined)
    const other = await bench.server('other')
    await other.worker.sweep()
    await other.drain()
    goOn.reject(new Error('its process is gone'))
    await work.catch(() => {})
    assert.equal((await outcomeOf(other, task)).status, 'success')
    const now = await other.catalog.get(id)
    assert.deepEqual(
      now?.locations.map(({ store }) => store),
      ['a', 'b', 'c'],
    )
    for (const store of ['a', 'b', 'c']) assert.equal((await bench.keys(store)).length, 1, store)
  })
})

describe('glance-download', () => {
  const remote = 'aaaaaaaa-0000-4000-8000-000000000001'
  const request = {
    method: 'glance-download',
    parameters: { glance_image_id: remote, glance_region: 'two' },
  }

  const RECORD = {
    size: DISK.length,
    os_hash_algo: 'sha512',
    os_hash_value: sha512(DISK),
    disk_format: 'raw',
    container_format: 'bare',
    hw_rng: 'virtio',
    os_distro: 'debian',
    other: 'x',
    os_glance_import_task: 'x',
  }

  /** A region `two` whose image service has one image, and a server here that `p1` may use. */
  async function openRegions(record: object = RECORD) {
    await using opened = new AsyncDisposableStack()
    const tokens: unknown[] = []
    const glance = opened.use(
      await openWebServer({
        [`/v2/images/${remote}`]: (asked, response) => {
          tokens.push(asked.headers['x-auth-token'])
          response.end(JSON.stringify(record))
        },
        [`/v2/images/${remote}/file`]: DISK,
      }),
    )
    const keystone = opened.use(await openFakeKeystone())
    keystone.addUser({ name: 'u', password: 'p', projects: { p1: ['member'] } })
    keystone.addService('image', glance.url, { region: 'two' })
    const token = keystone.issue('u', { project: 'p1' })
    const bench = opened.use(
      await openBench({
        parts: {
          openKeystone: (given, projectId) =>
            openKeystone({
              authUrl: keystone.url,
              credentials: { method: 'token', token: given },
              ...(projectId !== null && { scope: { project: { id: projectId } } }),
            }),
        },
      }),
    )
    const closing = opened.move()
    return {
      bench,
      tokens,
      caller: { ...MEMBER, token, projectId: keystone.projectId('p1') },
      [Symbol.asyncDispose]: () => closing.disposeAsync(),
    }
  }

  it('fetches the image of another region as whoever asks, with the properties that are listed', async () => {
    await using regions = await openRegions()
    const { bench, caller, tokens } = regions
    const one = await bench.server()
    const { id } = await bench.image()
    const { image, task } = await importInto(bench, one, id, { ...request, caller })
    assert.equal(task.message, 'Copied 3 MiB')
    assert.deepEqual([image.status, image.hashValue], ['active', sha512(DISK)])
    assert.deepEqual(
      [image.properties['hw_rng'], image.properties['os_distro'], image.properties['other']],
      ['virtio', 'debian', undefined],
    )
    assert.equal(tokens.length, 1)
    assert.ok(!JSON.stringify(task).includes(caller.token), 'the token is told to nobody')
    assert.equal(await one.catalog.readAttachment(id, 'import-secret'), undefined)
  })

  it('makes the image what the other one is, whatever it was said to be', async () => {
    await using regions = await openRegions()
    const { bench, caller } = regions
    const one = await bench.server()
    const { id } = await bench.image({ diskFormat: 'iso', containerFormat: 'ovf' })
    const { image } = await importInto(bench, one, id, { ...request, caller })
    assert.deepEqual(
      [image.status, image.diskFormat, image.containerFormat],
      ['active', 'raw', 'bare'],
    )
  })

  it('of a format that images here cannot have fails, and leaves the image as it was', async () => {
    await using regions = await openRegions({ ...RECORD, disk_format: 'floppy' })
    const { bench, caller } = regions
    const one = await bench.server()
    const { id } = await bench.image({ diskFormat: 'iso' })
    const { image, task } = await importInto(bench, one, id, { ...request, caller })
    assert.equal(task.status, 'failure')
    assert.match(task.message, /floppy/)
    assert.deepEqual([image.status, image.diskFormat], ['queued', 'iso'])
  })

  it('is refused at once without a UUID, and fails where there is no such address', async () => {
    await using regions = await openRegions()
    const { bench, caller } = regions
    const one = await bench.server()
    const image = await bench.image({ properties: { os_distro: 'windows' } })
    const none = { ...request.parameters, glance_image_id: 'foo' }
    await assert.rejects(
      one.imports.begin(image, importOf({ ...request, parameters: none, caller })),
      failsWith('REQUEST_INVALID'),
    )
    for (const wrong of [{ glance_region: 'three' }, { glance_service_interface: 'hidden' }]) {
      const parameters = { ...request.parameters, ...wrong }
      const asked = await importInto(bench, one, image.id, { ...request, parameters, caller })
      assert.match(asked.task.message, /endpoint|found 'hidden'/)
      assert.equal(asked.image.status, 'queued')
      assert.equal(asked.image.properties['os_distro'], 'windows')
    }
  })

  it('is refused where there is no Keystone', async () => {
    await using bench = await openBench()
    const one = await bench.server()
    const image = await bench.image()
    await assert.rejects(one.imports.begin(image, importOf(request)), failsWith('REQUEST_INVALID'))
  })
})
