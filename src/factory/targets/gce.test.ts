import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, suite, test } from 'node:test'
import { GiB, MiB } from '../../base/units.ts'
import { runTool } from '../../base/process.ts'
import { openFileSource } from '../../bytes/source.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeGoogle } from '../../testing/fake-gce.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { GceOptions } from './_gce-schemas.ts'
import { gceTarget as target } from './gce.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const google = await openFakeGoogle()
after(async () => {
  for (const one of [google, disk]) await one[Symbol.asyncDispose]()
})

const provider = (credentials = google.credentials) => ({
  name: 'google',
  options: {
    bucket: google.bucket,
    storage_endpoint: google.endpoint,
    compute_endpoint: google.endpoint,
    poll_seconds: 0,
  },
  credentials,
})
const jobOf = (options: GceOptions, to = provider(), signal?: AbortSignal) =>
  pushJob({
    disk,
    options,
    provider: to,
    image: { id: crypto.randomUUID() },
    ...(signal && { signal }),
  })
const push = async (options: GceOptions = {}) => {
  const { job, written } = jobOf(options)
  return { job, written, pushed: await target.push!(job) }
}

suite('the GCE target', () => {
  test('makes an image of an archive that holds the disk, and keeps no object', async () => {
    const { pushed, written, job } = await push({
      gce_image_name: 'web-1',
      gce_image_family: 'web',
      gce_licenses: ['projects/x/global/licenses/y'],
      gce_labels: { stage: 'test' },
    })
    const { said, tar, labels } = google.images.get(pushed.identifier)!
    assert.deepEqual([pushed.identifier, pushed.account], ['web-1', 'project-1'])
    assert.equal(said['family'], 'web')
    assert.deepEqual(said['guestOsFeatures'], [
      { type: 'UEFI_COMPATIBLE' },
      { type: 'VIRTIO_SCSI_MULTIQUEUE' },
      { type: 'GVNIC' },
    ])
    assert.deepEqual(labels, { stage: 'test', 'ingot-image': job.image.id })
    await writeFile(at('image.tar'), tar)
    await runTool([
      'tar',
      '-C',
      at('.'),
      '-xSf',
      at('image.tar'),
      '--transform=s/disk.raw/got.raw/',
    ])
    await using got = await openFileSource(at('got.raw'))
    assert.equal(got.size, GiB)
    assert.ok((await bytesOfSource(disk.source)).equals(await got.read(0, disk.size)))
    assert.equal(google.objects.size, 0)
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )
  })

  test('goes on where Google has got when a chunk arrives in part, or nobody answers', async () => {
    Object.assign(google.trouble, { shorten: 1, failNext: 1 })
    const { pushed } = await push()
    const [first, second] = [google.images.get('web-1'), google.images.get(pushed.identifier)]
    assert.ok(second && first?.tar.equals(second.tar))
  })

  test('removes an image, and does not mind that it is gone', async () => {
    const { pushed } = await push({ gce_image_name: 'gone' })
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(record, provider(), clearContext())
    assert.ok(!google.images.has('gone'))
    await target.remove!(record, provider(), clearContext())
  })

  test('leaves nothing once it is cleared when there is no quota', async () => {
    google.trouble.imageError = 'QUOTA_EXCEEDED'
    const { job, written } = jobOf({})
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_FULL'))
    assert.equal(google.objects.size, 1)
    const context = { ...clearContext(), imageId: job.image.id }
    assert.deepEqual(await target.clear!(written.held, provider(), context), [])
    assert.equal(google.objects.size, 0)
  })

  test('does not remove somebody else’s image of the same name', async () => {
    const { job, written } = jobOf({ gce_image_name: 'web-1' })
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_FAILED'))
    const context = { ...clearContext(), imageId: job.image.id }
    await target.clear!(written.held, provider(), context)
    assert.ok(google.images.has('web-1'))
    assert.equal(google.objects.size, 0)
  })

  test('fails with CLOUD_DENIED for a key that is none, which it does not show', async () => {
    const { job } = jobOf({}, provider({ ...google.credentials, private_key: 'guess' }))
    await assert.rejects(
      async () => await target.push!(job),
      (error) => {
        assert.ok(!`${JSON.stringify(error)}${String(error)}`.includes('guess'))
        return failsWith('CLOUD_DENIED')(error)
      },
    )
  })

  test('ends when it is interrupted', async () => {
    const { job } = jobOf({}, provider(), AbortSignal.abort())
    await assert.rejects(async () => await target.push!(job), failsWith('INTERRUPTED'))
  })
})
