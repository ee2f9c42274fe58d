import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, suite, test } from 'node:test'
import { MiB } from '../../base/units.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openProviderCloud } from './_openstack-cloud.ts'
import { openstackTarget as target } from './openstack.ts'

const { OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME } = process.env
const isAsked = process.env['INGOT_OPENSTACK'] !== undefined && OS_AUTH_URL !== undefined
const skip = isAsked ? false : 'INGOT_OPENSTACK and the OS_… of a real cloud are not set'

const provider = (more = {}) => ({
  name: 'real',
  options: { poll_seconds: 0.5, ...more },
  credentials: {
    auth_url: OS_AUTH_URL ?? '',
    username: OS_USERNAME ?? '',
    password: OS_PASSWORD ?? '',
    tenant: OS_PROJECT_NAME ?? '',
  },
})

suite('the OpenStack target and a real Glance', { skip }, async () => {
  if (!isAsked) return
  const at = await tempDir()
  await makeSparseDisk(at('disk.raw'), 12 * MiB)
  const disk = await openTestDisk(at('disk.raw'), at('.'))
  after(async () => await disk[Symbol.asyncDispose]())
  for (const [format, method] of [
    ['raw', 'upload'],
    ['qcow2', 'upload'],
    ['qcow2-zlib', 'upload'],
    ['qcow2', 'import'],
  ] as const)
    test(`${format} arrives by ${method}, as it was sent, and goes again`, async () => {
      const options = {
        openstack_image_format: format,
        openstack_protected: true,
        openstack_tags: ['ingot-test'],
        openstack_properties: { hw_rng_model: 'virtio' },
      }
      const { job } = pushJob({ disk, options, provider: provider({ method }) })
      const { identifier } = await target.push!(job)
      const context = clearContext()
      await using cloud = await openProviderCloud(provider(), undefined, context)
      const shown = await cloud.image.get(identifier)
      assert.equal(shown.status, 'active')
      assert.equal(shown.properties['hw_rng_model'], 'virtio')
      const hash = createHash('sha256')
      for await (const chunk of (await cloud.image.download(identifier)).stream) hash.update(chunk)
      const sent = await bytesOfSource(await disk.open(format))
      assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'))
      const image = factoryImage({ identifierOnProvider: identifier })
      await target.remove!(image, provider(), context)
      await assert.rejects(async () => await cloud.image.get(identifier))
    })
})
