import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openQuotas } from '../access/open-quotas.ts'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { openDatabase } from '../database/open-database.ts'
import { memoryDriver } from '../stores/drivers/memory.ts'
import { openStores } from '../stores/open-stores.ts'
import type { Stores } from '../stores/store.ts'
import { ledgerMigrations } from '../tasks/ledger-migrations.ts'
import { openLedger } from '../tasks/open-ledger.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { catalogMigrations } from './catalog-migrations.ts'
import { openCatalog } from './open-catalog.ts'
import { openImages } from './open-images.ts'
import { openUploads, type UploadParts, uploadKinds } from './open-uploads.ts'
import { openStaged } from './staged.ts'

const at = await tempDir()
const context = makeContext()
const disk = Buffer.alloc(2 * MiB)
disk.fill('data', 64 * KiB, 200 * KiB)

async function openParts(limits: Record<string, number> = {}) {
  await using opened = new AsyncDisposableStack()
  const path = at(context.newId())
  await mkdir(path)
  const migrations = [...catalogMigrations, ...ledgerMigrations]
  const address = { sqlite: `${path}/catalog.db` }
  const database = opened.use(await openDatabase(address, migrations, context))
  const options = { leaseMs: 30_000, keepMs: 1e6, holder: 'test' }
  const ledger = opened.use(await openLedger(database, options, context))
  const list = ['first', 'second'].map((id) => ({ id, type: 'memory' }))
  const config = { default: 'first', list }
  const stores = opened.use(await openStores(config, [memoryDriver], { ...context, dataDir: path }))
  const catalog = openCatalog(database, context)
  const quotas = opened.use(openQuotas({ quotas: { default: limits, projects: {} } }, context))
  const digests = opened.use(new DigestThreads())
  const parts: UploadParts = {
    database,
    catalog,
    ledger,
    stores,
    quotas,
    digests,
    context,
    config: { hash_algorithm: 'sha512', require_format_match: true, max_size: 64 * MiB },
    stageWishes: () => ({ decompress: true, convertTo: 'raw' }),
    spoolDirectory: path,
  }
  const images = openImages({
    ...parts,
    maxMembers: 10,
    delayedDeleteS: 0,
    offer: async () => {},
  })
  const closing = opened.move()
  const create = async (fields: object = {}) => {
    const formats = { diskFormat: 'raw', containerFormat: 'bare', ...fields }
    const rest = { minRamMiB: 0, minDiskGiB: 0, tags: [], properties: {} }
    const flags = { visibility: 'private', protected: false, hidden: false } as const
    const id = context.newId()
    return await images.create({ id, name: 'x', owner: 'p', ...flags, ...rest, ...formats })
  }
  return { parts, images, create, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

/** What QEMU would take for an image that reads a file of its host. */
const unsafe = Buffer.alloc(MiB)
unsafe.write('QFI\xfb\0\0\0\x03', 'latin1')

function requestOf(imageId: string, bytes: Uint8Array = disk) {
  const stream = async function* () {
    for (let at = 0; at < bytes.length; at += 64 * KiB) yield bytes.subarray(at, at + 64 * KiB)
  }
  const { signal } = new AbortController()
  return { imageId, stream: stream(), size: bytes.length, userId: 'u', requestId: 'req-1', signal }
}

async function keysIn(stores: Stores): Promise<string[]> {
  const keys: string[] = []
  for (const store of stores.all) for await (const { key } of store.list!()) keys.push(key)
  return keys
}

let bench: Awaited<ReturnType<typeof openParts>>
before(async () => {
  bench = await openParts()
})
after(() => bench[Symbol.asyncDispose]())

describe('data that is staged', () => {
  it('is taken in as the steps want it, and stands as the object that it will be', async () => {
    const { parts, create } = bench
    const { id } = await create()
    const image = await openUploads(parts).stage(requestOf(id, gzipSync(disk)))
    assert.deepEqual([image.status, image.size, image.locations], ['uploading', disk.length, []])
    const staged = await openStaged(parts.catalog).find(id)
    assert.ok(staged?.object)
    assert.equal(staged.ingested.virtualSize, disk.length)
    await using source = await parts.stores.get(staged.object.store).open(staged.object.key)
    assert.ok(disk.equals(await source.read(0, source.size)))
    assert.ok(await parts.catalog.readAttachment(id, 'map'))
    assert.equal((await parts.catalog.usage('p')).staged, disk.length)
    await assert.rejects(openUploads(parts).stage(requestOf(id)), failsWith('IMAGE_STATE'))
    assert.equal(await parts.ledger.holderOf(id), undefined)
  })

  it('and is refused for its content, is read to its end; the reason is kept, and nothing else', async () => {
    const { parts, create } = bench
    const before = (await parts.catalog.usage('p')).staged
    const keys = await keysIn(parts.stores)
    for (const [diskFormat, containerFormat, code] of [
      ['qcow2', 'bare', 'FORMAT_MISMATCH'],
      ['vmdk', 'bare', 'FORMAT_MISMATCH'],
      ['raw', 'compressed', 'FORMAT_MISMATCH'],
    ] as const) {
      const { id } = await create({ diskFormat, containerFormat })
      const request = requestOf(id)
      const image = await openUploads(parts).stage(request)
      assert.deepEqual([image.status, image.size, image.locations], ['uploading', null, []])
      assert.deepEqual(await request.stream.next(), { done: true, value: undefined })
      const staged = await openStaged(parts.catalog).find(id)
      assert.equal(staged?.object, undefined)
      assert.equal(staged?.refused?.code, code)
      assert.ok(staged?.refused?.message.includes(id))
      assert.equal(await parts.catalog.readAttachment(id, 'map'), undefined)
      assert.equal(await parts.ledger.holderOf(id), undefined)
      await assert.rejects(openUploads(parts).stage(requestOf(id)), failsWith('IMAGE_STATE'))
    }
    assert.equal((await parts.catalog.usage('p')).staged, before)
    assert.deepEqual(await keysIn(parts.stores), keys)
  })

  it('and is unsafe, is deleted with its image like any other', async () => {
    const { parts, images, create } = bench
    const { id } = await create({ diskFormat: 'qcow2' })
    const staged = await openUploads(parts).stage(requestOf(id, unsafe))
    assert.equal(staged.status, 'uploading')
    await images.delete(id)
    assert.equal(await parts.catalog.get(id), undefined)
    assert.equal(await openStaged(parts.catalog).find(id), undefined)
  })

  it('is held to what was announced and allowed, also when its content is refused', async () => {
    const { parts, create } = bench
    for (const [size, maxSize, code] of [
      [disk.length + 1, 64 * MiB, 'REQUEST_INVALID'],
      [disk.length - 1, 64 * MiB, 'REQUEST_INVALID'],
      [undefined, MiB, 'LIMIT_EXCEEDED'],
    ] as const) {
      const { id } = await create({ diskFormat: 'qcow2' })
      const config = { ...parts.config, max_size: maxSize }
      const staging = openUploads({ ...parts, config }).stage({ ...requestOf(id), size })
      await assert.rejects(staging, failsWith(code))
      assert.equal((await parts.catalog.get(id))?.status, 'queued')
      assert.equal(await openStaged(parts.catalog).find(id), undefined)
    }
  })

  it('is put back when the client leaves while refused content is read to its end', async () => {
    const { parts, create } = bench
    const { id } = await create({ diskFormat: 'qcow2' })
    const leaving = new AbortController()
    const stream = async function* () {
      for (let at = 0; at < disk.length; at += 64 * KiB) yield disk.subarray(at, at + 64 * KiB)
      leaving.abort(new Failure('READER_GONE', 'the client left'))
      yield disk
    }
    const request = { ...requestOf(id), size: undefined, stream: stream(), signal: leaving.signal }
    await assert.rejects(openUploads(parts).stage(request), failsWith('READER_GONE'))
    assert.equal((await parts.catalog.get(id))?.status, 'queued')
    assert.equal(await openStaged(parts.catalog).find(id), undefined)
  })

  it('goes with its image', async () => {
    const { parts, images, create } = bench
    const { id } = await create()
    await openUploads(parts).stage(requestOf(id))
    const staged = await openStaged(parts.catalog).find(id)
    await images.delete(id)
    const [task] = (await parts.ledger.orphans()).filter(({ type }) => type === 'remove-objects')
    const kind = uploadKinds(parts).find(({ type }) => type === 'remove-objects')
    assert.ok(task && kind && staged?.object)
    await using lease = await parts.ledger.claim(task.id)
    assert.ok(lease)
    await kind.run(lease)
    assert.ok(!(await keysIn(parts.stores)).includes(staged.object.key))
  })
})

describe('a request whose image cannot be looked at any more', () => {
  it('is told what went wrong, and not that its image was deleted', async () => {
    const { parts, create } = bench
    const { id } = await create()
    let isAway = false
    const catalog = new Proxy(parts.catalog, {
      get: (target, name: keyof typeof parts.catalog) => {
        if (name === 'get' && isAway)
          return async () => {
            throw new Failure('DATABASE_BUSY', 'the database is away')
          }
        const member: unknown = target[name]
        return typeof member === 'function' ? member.bind(target) : member
      },
    })
    const stream = async function* () {
      yield disk
      isAway = true
    }
    const request = { ...requestOf(id), stream: stream() }
    const upload = openUploads({ ...parts, catalog }).upload(request)
    await assert.rejects(upload, failsWith('DATABASE_BUSY'))
  })
})

describe('a request whose server died', () => {
  it('is undone: the image is queued, and nothing is left of what came', async () => {
    const { parts, create } = bench
    for (const [type, status] of [
      ['upload', 'saving'],
      ['stage', 'uploading'],
    ] as const) {
      const { id } = await create()
      const object = { store: 'second', key: `${id}.half` }
      const begin = await parts.database.write(async (tx) => {
        await parts.catalog.update(tx, id, { status })
        const about = { type, owner: 'p', subject: id, hidden: true, input: {} }
        return await parts.ledger.begin(tx, { id: context.newId(), ...about, leftovers: [object] })
      })
      await using writer = await parts.stores.get('second').create(object.key)
      await writer.write(0, disk)
      await writer.finish(disk.length)
      const kind = uploadKinds(parts).find((one) => one.type === type)
      assert.equal(kind?.resumes, false)
      const reason = new Failure('INTERRUPTED', 'gone')
      await using lease = await begin().giveUp(reason)
      await kind.undo(lease.task, reason, lease)
      assert.equal((await parts.catalog.get(id))?.status, 'queued')
      assert.ok(!(await keysIn(parts.stores)).includes(object.key))
      assert.equal(await parts.ledger.holderOf(id), undefined)
      assert.equal((await openUploads(parts).upload(requestOf(id))).status, 'active')
    }
  })

  it('does not take with it an object that an image names', async () => {
    const { parts, create } = bench
    const { id } = await create()
    const { locations } = await openUploads(parts).upload(requestOf(id))
    const objects = locations.map(({ store, key }) => ({ store, key }))
    const kind = uploadKinds(parts).find(({ type }) => type === 'remove-objects')
    const about = { type: 'remove-objects', owner: 'p', hidden: true, input: { objects } }
    const begin = await parts.database.write((tx) =>
      parts.ledger.begin(tx, { id: context.newId(), ...about }),
    )
    await using lease = begin()
    await kind?.run(lease)
    assert.ok((await keysIn(parts.stores)).includes(locations[0]?.key ?? ''))
  })
})

describe('limits of a project', () => {
  it('hold for what is stored, however many come at once', async () => {
    await using limited = await openParts({ image_size_total: 3 })
    const images = await Promise.all([limited.create(), limited.create(), limited.create()])
    const uploads = openUploads(limited.parts)
    const done = await Promise.allSettled(images.map(({ id }) => uploads.upload(requestOf(id))))
    const failed = done.filter(({ status }) => status === 'rejected')
    assert.equal(failed.length, 2)
    for (const { reason } of failed as PromiseRejectedResult[])
      assert.equal((reason as Failure).code, 'QUOTA_EXCEEDED')
    assert.equal((await keysIn(limited.parts.stores)).length, 1)
  })

  it('hold for what is staged, and for how many are under way', async () => {
    await using limited = await openParts({ image_stage_total: 1 })
    const { id } = await limited.create()
    const staging = openUploads(limited.parts).stage(requestOf(id))
    await assert.rejects(staging, failsWith('QUOTA_EXCEEDED'))
    await using none = await openParts({ image_count_uploading: 0 })
    const other = await none.create()
    const upload = openUploads(none.parts).upload(requestOf(other.id))
    await assert.rejects(upload, failsWith('QUOTA_EXCEEDED'))
    assert.equal((await none.parts.catalog.get(other.id))?.status, 'queued')
  })
})
