import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { parseOsConfig } from '../../clouds/os-config.ts'
import { openOpenStack } from '../../clouds/openstack/open-openstack.ts'
import { GiB, MiB } from '../../base/units.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { openFakeKeystone } from '../../testing/fake-keystone.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { recipeOf } from '../../testing/recipe-text.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openTestServer } from '../../testing/test-service.ts'
import type { OpenstackOptions, OpenstackProviderOptions } from './_openstack-schemas.ts'
import { makeOpenstackTarget, openstackTarget } from './openstack.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const glance = await openTestServer()
const keystone = await openFakeKeystone()
keystone.addUser({ name: 'alice', password: 'pa55', projects: { demo: ['member'] } })
keystone.addService('image', glance.url)
after(async () => {
  for (const one of [glance, keystone, disk]) await one[Symbol.asyncDispose]()
})

/** Without Keystone: this image service takes the names of callers for tokens. */
const provider = (more: OpenstackProviderOptions = {}) => ({
  name: 'here',
  options: { image_endpoint: glance.url, poll_seconds: 0, ...more },
  credentials: { token: 'admin' },
})
const target = openstackTarget
const push = async (options: OpenstackOptions = {}, more: OpenstackProviderOptions = {}) => {
  const { job, written } = pushJob({ disk, options, provider: provider(more) })
  const pushed = await target.push!(job)
  const shown = (await glance.ask(`GET /v2/images/${pushed.identifier}`)).json
  return { job, written, pushed, shown }
}
const dataOf = async (id: string, format = 'raw') => {
  const url = `${glance.url}/v2/images/${id}/file`
  const answer = await fetch(url, { headers: { 'x-auth-token': 'admin', accept: '*/*' } })
  assert.equal(answer.status, 200, format)
  return Buffer.from(await answer.arrayBuffer())
}
const imageIds = async () => {
  const { json } = await glance.ask('GET /v2/images')
  return json.images.map(({ id }: { id: string }) => id).toSorted()
}

suite('the OpenStack target', () => {
  for (const format of ['raw', 'qcow2', 'qcow2-zlib'] as const)
    test(`uploads ${format}, of which every byte arrives`, async () => {
      const { pushed, shown, written } = await push({ openstack_image_format: format })
      const sent = await bytesOfSource(await disk.open(format))
      assert.ok((await dataOf(pushed.identifier)).equals(sent))
      assert.equal(shown.status, 'active')
      assert.equal(shown.disk_format, format === 'raw' ? 'raw' : 'qcow2')
      assert.equal(shown.size, sent.length)
      assert.deepEqual(
        written.percents,
        written.percents.toSorted((a, b) => a - b),
      )
      assert.equal(written.percents.at(-1), 100)
    })

  test('tells the image service what it knows of the image', async () => {
    const { shown, job } = await push({
      openstack_name: 'golden',
      openstack_tags: ['stable'],
      openstack_min_ram: 512,
      openstack_admin_user: 'ann',
      openstack_visibility: 'private',
      openstack_properties: { hw_disk_bus: 'scsi', hw_scsi_model: 'virtio-scsi' },
    })
    assert.equal(shown.name, 'golden')
    assert.deepEqual([shown.min_disk, shown.min_ram], [Math.ceil(disk.size / GiB), 512])
    assert.deepEqual([shown.tags, shown.visibility], [['stable'], 'private'])
    const { os_distro, os_version, architecture, os_type, os_admin_user } = shown
    assert.deepEqual(
      { os_distro, os_version, architecture, os_type, os_admin_user },
      {
        os_distro: 'debian',
        os_version: '12',
        architecture: 'x86_64',
        os_type: 'linux',
        os_admin_user: 'ann',
      },
    )
    const { hw_disk_bus, hw_scsi_model, hw_vif_model, ingot_image } = shown
    assert.deepEqual([hw_disk_bus, hw_scsi_model, hw_vif_model], ['scsi', 'virtio-scsi', 'virtio'])
    assert.equal(ingot_image, job.image.id)
  })

  test('imports into several stores', async () => {
    const { pushed, shown } = await push({ openstack_stores: ['fast', 'slow'] })
    assert.equal(shown.status, 'active')
    assert.deepEqual(shown.stores.split(',').toSorted(), ['fast', 'slow'])
    // This service makes golden what it imports.
    assert.equal(shown.disk_format, 'raw')
    assert.ok((await dataOf(pushed.identifier)).equals(await bytesOfSource(disk.source)))
    assert.match(JSON.stringify(pushed.properties), /fast/)
  })

  test('imports into all stores, and into the one that a provider names', async () => {
    const all = await push({ openstack_all_stores: true })
    assert.deepEqual(all.shown.stores.split(',').toSorted(), ['fast', 'slow'])
    const one = await push({}, { method: 'import', stores: ['slow'] })
    assert.equal(one.shown.stores, 'slow')
    const uploaded = await push({}, { stores: ['slow'] })
    assert.equal(uploaded.shown.stores, 'slow')
  })

  test('removes an image, a protected one too, and does not mind that it is gone', async () => {
    const { pushed, shown } = await push({ openstack_protected: true })
    assert.equal(shown.protected, true)
    const image = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(image, provider(), clearContext())
    assert.ok(!(await imageIds()).includes(pushed.identifier))
    await target.remove!(image, provider(), clearContext())
  })

  test('leaves nothing once it is cleared after an interruption', async () => {
    const before = await imageIds()
    const interrupted = new AbortController()
    const slow = {
      ...disk,
      open: async (format: string) => {
        const opened = await disk.open(format)
        const read = async (offset: number, length: number) => {
          interrupted.abort()
          return await opened.read(offset, length)
        }
        return {
          ...opened,
          read,
          readInto: async (target: Uint8Array, offset: number) =>
            target.set(await read(offset, target.length)),
        }
      },
    }
    const { job, written } = pushJob({
      disk: slow,
      options: {},
      provider: provider(),
      signal: interrupted.signal,
    })
    await assert.rejects(async () => await target.push!(job), failsWith('INTERRUPTED'))
    assert.equal(written.held.length, 1)
    assert.equal((await imageIds()).length, before.length + 1)
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
    assert.deepEqual(await imageIds(), before)
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
  })

  test('fails with CLOUD_DENIED for one who may not, and does not show the token', async () => {
    const denied = { ...provider(), credentials: { token: 'no-such-token' } }
    const { job, written } = pushJob({ disk, options: {}, provider: denied })
    await assert.rejects(
      async () => await target.push!(job),
      (error) => {
        assert.ok(!`${JSON.stringify(error)}${String(error)}`.includes('no-such-token'))
        return failsWith('CLOUD_DENIED')(error)
      },
    )
    assert.ok(!JSON.stringify(written).includes('no-such-token'))
  })

  test('reads credentials in upstream’s words, and asks Keystone of version 3', async () => {
    const named = {
      name: 'upstream',
      options: {},
      credentials: {
        username: 'alice',
        password: 'pa55',
        tenant: 'demo',
        auth_url: keystone.url.replace('/v3', '/v2.0/'),
      },
    }
    // This image service knows other tokens; that it refuses this one says that it was asked with it.
    const { job } = pushJob({ disk, options: {}, provider: named })
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_DENIED'))
    assert.ok(keystone.asked.includes('POST /v3/auth/tokens'))
    const wrong = { ...named, credentials: { ...named.credentials, password: 'guess' } }
    const { job: other } = pushJob({ disk, options: {}, provider: wrong })
    await assert.rejects(async () => await target.push!(other), failsWith('KEYSTONE_DENIED'))
  })

  test('lets only configured providers name a cloud of this host', async () => {
    const opened: string[] = []
    const withClouds = makeOpenstackTarget({
      openCloud: async (name, context) => {
        opened.push(name)
        const variables = { OS_ENDPOINT: glance.url, OS_TOKEN: 'admin' }
        return openOpenStack({ cloud: parseOsConfig({ variables }) }, context)
      },
    })
    const named = { name: 'north', options: { cloud: 'north', poll_seconds: 0 }, credentials: {} }
    const { job } = pushJob({ disk, options: {}, provider: named })
    await assert.rejects(async () => await withClouds.push!(job), failsWith('CONFIG_INVALID'))
    assert.deepEqual(opened, [])
    const { job: other } = pushJob({
      disk,
      options: {},
      provider: { ...named, isConfigured: true },
    })
    assert.ok((await withClouds.push!(other)).identifier)
    assert.deepEqual(opened, ['north'])
  })

  test('says what a provider lacks, without its secrets', async () => {
    const lacking = { name: 'lacking', options: {}, credentials: { password: 'pa55word' } }
    const { job } = pushJob({ disk, options: {}, provider: lacking })
    await assert.rejects(
      async () => await target.push!(job),
      (error: Error) => {
        assert.ok(!error.message.includes('pa55word'))
        return failsWith('CONFIG_INVALID')(error)
      },
    )
  })

  test('wants cloud-init, a console, and nothing of the old machine’s network', () => {
    const facts = {
      distro: 'centos',
      family: 'redhat',
      version: '9',
      codename: '',
      prettyName: '',
      architecture: 'x86_64',
    } as const
    const recipe = target.fit!(facts, {}) ?? ''
    assert.match(recipe, /ConfigDrive, OpenStack, None/)
    assert.match(recipe, /70-persistent-net\.rules[\s\S]*HWADDR[\s\S]*cloud-info/)
    assert.match(recipe, /ttyS0/)
    for (const text of [recipe, target.fit!({ ...facts, family: 'suse' }, {}) ?? ''])
      assert.ok(recipeOf(text).steps.length > 5)
    const debian = target.fit!({ ...facts, distro: 'debian', family: 'debian' }, {}) ?? ''
    assert.doesNotMatch(debian, /sysconfig/)
  })

  test('refuses parameters that it does not know', () => {
    assert.deepEqual(findFaults(target.options, { openstack_image_format: 'raw' }), [])
    assert.notDeepEqual(findFaults(target.options, { openstack_image_format: 'vhd' }), [])
    assert.deepEqual(
      findFaults(target.provider!.options, { 'glance-host': 'glance', 'glance-port': 9292 }),
      [],
    )
  })
})
