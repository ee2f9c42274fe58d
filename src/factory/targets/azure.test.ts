import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import {
  BlobSASPermissions,
  ContainerClient,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { MiB } from '../../base/units.ts'
import { openAzurite } from '../../testing/azurite.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeAzureArm } from '../../testing/fake-azure-arm.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { AzureCredentials, AzureOptions, AzureProviderOptions } from './_azure-schemas.ts'
import { azureTarget as target } from './azure.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const azurite = await openAzurite()
const key = new StorageSharedKeyCredential(azurite.account, azurite.key)
const container = new ContainerClient(`${azurite.endpoint}/vhds`, key)
await container.create()
const blobNames = async () =>
  (await Array.fromAsync(container.listBlobsFlat())).map(({ name }) => name)
const arm = await openFakeAzureArm(at('.'), async (url) => {
  assert.ok(url.startsWith(container.url), url)
  return await container.getBlobClient(url.split('/').at(-1)!).exists()
})
after(async () => {
  for (const one of [arm, azurite, disk]) await one[Symbol.asyncDispose]()
})

const application = { tenant: arm.tenant, client_id: arm.client, client_secret: arm.secret }
const provider = (
  options: Partial<AzureProviderOptions> = {},
  credentials: AzureCredentials = { account_key: azurite.key, ...application },
) => ({
  name: 'azure',
  options: {
    storage_account: azurite.account,
    container: 'vhds',
    blob_endpoint: azurite.endpoint,
    arm_endpoint: arm.endpoint,
    authority: arm.endpoint,
    cacert: arm.certificate,
    subscription: arm.subscription,
    resource_group: 'images',
    location: 'westeurope',
    poll_seconds: 0,
    ...options,
  },
  credentials,
  isConfigured: true,
})
const jobOf = (options: AzureOptions, to: ReturnType<typeof provider>) =>
  pushJob({ disk, options, provider: to, image: { id: crypto.randomUUID() } })
const push = async (options: AzureOptions = {}, to = provider()) => {
  const { job, written } = jobOf(options, to)
  return { job, written, pushed: await target.push!(job) }
}
const gallery = { result: 'gallery', gallery: 'builds', definition: 'debian' } as const

suite('the Azure target', () => {
  test('writes a VHD as a page blob, of which holes are not sent', async () => {
    const { pushed, written } = await push({ azure_name: 'alone' }, provider({ result: 'blob' }))
    assert.equal(pushed.identifier, 'blob:alone.vhd')
    const blob = container.getPageBlobClient('alone.vhd')
    const vhd = await disk.open('vhd-fixed')
    assert.equal(vhd.size % MiB, 512, 'whole MiB and the footer')
    assert.ok((await blob.downloadToBuffer()).equals(await bytesOfSource(vhd)))
    let kept = 0
    for (const { count } of (await blob.getPageRanges()).pageRange ?? []) kept += Number(count) + 1 // up to the last byte, says the library
    const wanted = (vhd.extents ?? []).reduce((sum, { start, end }) => sum + end - start, 0)
    assert.equal(kept, wanted)
    assert.ok(kept < 2 * MiB, `${kept} bytes of 41 MiB`)
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )
    await target.remove!(
      factoryImage({ identifierOnProvider: pushed.identifier }),
      provider(),
      clearContext(),
    )
    assert.equal(await blob.exists(), false)
  })

  test('needs no more than a signature for the container', async () => {
    const permissions = BlobSASPermissions.parse('racwd')
    const url = await container.getBlobClient('signed.vhd').generateSasUrl({
      permissions,
      expiresOn: new Date(Date.now() + 3600_000),
    })
    const to = provider({ result: 'blob' }, { sas: new URL(url).search })
    const { pushed, written } = await push({ azure_name: 'signed' }, to)
    assert.ok(await container.getBlobClient('signed.vhd').exists())
    assert.ok(!JSON.stringify([pushed, written]).includes('sig='))
    await container.deleteBlob('signed.vhd')
  })

  test('makes a managed image, keeps no blob, and removes it', async () => {
    const { pushed, job } = await push({ azure_name: 'web', azure_tags: { stage: 'test' } })
    const image = arm.resources.get(pushed.identifier)
    assert.ok(pushed.identifier.endsWith('/providers/Microsoft.Compute/images/web'))
    assert.deepEqual(image?.['tags'], { stage: 'test', 'ingot-image': job.image.id })
    assert.deepEqual(await blobNames(), [])
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(record, provider(), clearContext())
    await target.remove!(record, provider(), clearContext())
    assert.equal(arm.resources.size, 0)
  })

  test('makes a version in a gallery, and the definition if that is asked', async () => {
    await assert.rejects(push({}, provider(gallery)), failsWith('CLOUD_NOT_FOUND'))
    for (const name of await blobNames()) await container.deleteBlob(name)
    const to = provider({ ...gallery, create_definition: true, regions: ['westeurope', 'eastus'] })
    const first = await push({ azure_version: '1.2.3' }, to)
    const second = await push({ azure_version: '1.2.4' }, to)
    assert.ok(first.pushed.identifier.endsWith('/galleries/builds/images/debian/versions/1.2.3'))
    assert.equal(arm.resources.size, 3)
    assert.ok(
      !second.written.everHeld.some((thing) => JSON.stringify(thing).includes('definition"')),
    )
    for (const { pushed } of [first, second])
      await target.remove!(
        factoryImage({ identifierOnProvider: pushed.identifier }),
        to,
        clearContext(),
      )
    assert.equal(arm.resources.size, 1, 'the definition stays, for it is nobody’s alone')
  })

  test('leaves nothing once it is cleared when the image is refused', async () => {
    const before = arm.resources.size
    arm.refused['images'] = 'QuotaExceeded'
    const { job, written } = jobOf({}, provider())
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_FULL'))
    delete arm.refused['images']
    assert.equal((await blobNames()).length, 1)
    const context = { ...clearContext(), imageId: job.image.id }
    assert.deepEqual(await target.clear!(written.held, provider(), context), [])
    assert.deepEqual([await blobNames(), arm.resources.size], [[], before])
  })

  for (const result of ['blob', 'image'] as const)
    test(`leaves what somebody else has under the name of its ${result}`, async () => {
      const to = provider({ result })
      const { pushed } = await push({ azure_name: 'taken' }, to)
      const before = [await blobNames(), [...arm.resources.keys()]]
      const { job, written } = jobOf({ azure_name: 'taken' }, to)
      await assert.rejects(async () => await target.push!(job), /is there already/)
      const context = { ...clearContext(), imageId: job.image.id }
      assert.deepEqual(await target.clear!(written.held, to, context), [])
      assert.deepEqual([await blobNames(), [...arm.resources.keys()]], before)
      const record = factoryImage({ identifierOnProvider: pushed.identifier })
      await target.remove!(record, to, clearContext())
    })

  test('clears a definition after the version in it', async () => {
    const to = provider({ ...gallery, definition: 'half', create_definition: true })
    const before = arm.resources.size
    const { job, written } = jobOf({}, to)
    await target.push!(job)
    const definition = written.everHeld.filter((thing) => JSON.stringify(thing).includes('/half"'))
    const held = [...definition, ...written.held]
    assert.equal(held.length, 2)
    const context = { ...clearContext(), imageId: job.image.id }
    assert.deepEqual(await target.clear!(held, to, context), [])
    assert.equal(arm.resources.size, before)
  })

  const wrong: Record<string, AzureCredentials> = {
    'a wrong secret of the application': {
      account_key: azurite.key,
      ...application,
      client_secret: 'guess',
    },
    'a wrong key of the account': { account_key: Buffer.from('guess').toString('base64') },
  }
  for (const [what, credentials] of Object.entries(wrong))
    test(`fails with CLOUD_DENIED for ${what}, which it does not show`, async () => {
      const { job, written } = jobOf({}, provider({}, credentials))
      await assert.rejects(
        async () => await target.push!(job),
        (error) => {
          assert.ok(!`${JSON.stringify(error)}${String(error)}`.includes('guess'))
          return failsWith('CLOUD_DENIED')(error)
        },
      )
      const context = { ...clearContext(), imageId: job.image.id }
      await target.clear!(written.held.slice(0, 1), provider(), context)
    })
})
