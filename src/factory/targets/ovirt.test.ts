import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { MiB } from '../../base/units.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeOvirt } from '../../testing/fake-ovirt.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { OvirtOptions } from './_ovirt-schemas.ts'
import { ovirtTarget as target } from './ovirt.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const content = await bytesOfSource(disk.source)
const ovirt = await openFakeOvirt()
after(async () => {
  for (const one of [ovirt, disk]) await one[Symbol.asyncDispose]()
})

const provider = (password = ovirt.password) => ({
  name: 'ovirt',
  options: {
    url: ovirt.url,
    storage_domain: 'data',
    poll_seconds: 0,
    network_profile: 'profile-1',
  },
  credentials: { username: ovirt.username, password },
})
const jobOf = (options: OvirtOptions, to = provider(), signal?: AbortSignal) =>
  pushJob({
    disk,
    options,
    provider: to,
    image: { id: crypto.randomUUID() },
    ...(signal && { signal }),
  })
const push = async (options: OvirtOptions = {}) => {
  const { job, written } = jobOf(options)
  return { job, written, pushed: await target.push!(job) }
}
const counts = () =>
  Object.values(ovirt.things)
    .map(({ size }) => size)
    .slice(0, 3)

suite('the oVirt target', () => {
  test('sends data by ranges, and tells of holes', async () => {
    const { pushed, written } = await push({ ovirt_name: 'alone', ovirt_result: 'disk' })
    assert.match(pushed.identifier, /^disks\//)
    assert.ok(ovirt.read('alone').equals(content))
    assert.ok(ovirt.received.data < 2 * MiB, `${ovirt.received.data} bytes of 40 MiB`)
    assert.equal(ovirt.received.data + ovirt.received.zeros, disk.size)
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )
    await target.remove!(
      factoryImage({ identifierOnProvider: pushed.identifier }),
      provider(),
      clearContext(),
    )
    assert.deepEqual(counts(), [0, 0, 0])
  })

  test('makes a template of a machine that goes again, and removes it', async () => {
    const { pushed, written } = await push({ ovirt_name: 'web', ovirt_memory: 4096, ovirt_cpus: 2 })
    const [template] = [...ovirt.things['templates']!.values()]
    assert.equal(pushed.identifier, `templates/${template?.id}`)
    assert.ok(ovirt.read('web').equals(content))
    assert.deepEqual(counts(), [0, 0, 1])
    assert.deepEqual(
      written.everHeld.map((thing) => (thing as { kind: string }).kind),
      ['disks', 'vms', 'templates'],
    )
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(record, provider(), clearContext())
    await target.remove!(record, provider(), clearContext())
    assert.deepEqual(counts(), [0, 0, 0])
  })

  for (const refused of ['POST /templates', 'POST /vms', 'POST /imagetransfers'])
    test(`leaves nothing once it is cleared when it may not ${refused}`, async () => {
      ovirt.trouble.refused[refused] = 403
      const { job, written } = jobOf({})
      await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_FULL'))
      delete ovirt.trouble.refused[refused]
      const context = { ...clearContext(), imageId: job.image.id }
      assert.deepEqual(await target.clear!(written.held, provider(), context), [])
      assert.deepEqual(counts(), [0, 0, 0])
    })

  test('finds by name what it had not heard the id of, and leaves what is of others', async () => {
    const { job, pushed } = await push({ ovirt_name: 'shared', ovirt_result: 'disk' })
    const noted = [{ kind: 'disks', name: 'shared' }]
    await target.clear!(noted, provider(), { ...clearContext(), imageId: 'another' })
    assert.ok(ovirt.things['disks']!.has(pushed.identifier.slice('disks/'.length)))
    await target.clear!(noted, provider(), { ...clearContext(), imageId: job.image.id })
    assert.deepEqual(counts(), [0, 0, 0])
  })

  test('waits for what is locked, but not for ever for what is in use', async () => {
    const { pushed } = await push({ ovirt_name: 'used' })
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    const remove = async () => await target.remove!(record, provider(), clearContext())
    ovirt.trouble.refused['DELETE /templates'] = 409
    await assert.rejects(remove, failsWith('CLOUD_FULL'))
    delete ovirt.trouble.refused['DELETE /templates']
    await remove()
    assert.deepEqual(counts(), [0, 0, 0])
  })

  test('tries again when the daemon is busy', async () => {
    ovirt.trouble.failNext = 2
    const { written } = await push({ ovirt_name: 'busy', ovirt_result: 'disk' })
    assert.ok(ovirt.read('busy').equals(content))
    await target.clear!(written.held, provider(), clearContext())
  })

  test('fails with CLOUD_DENIED for a wrong password, which it does not show', async () => {
    const { job } = jobOf({}, provider('guess'))
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
