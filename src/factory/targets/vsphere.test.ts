import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { MiB } from '../../base/units.ts'
import { askRest } from '../../clouds/ask-rest.ts'
import { openCloudHttp } from '../../clouds/cloud-http.ts'
import { Vsphere } from '../../clouds/vsphere.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openVcsim, whyNoVcsim } from '../../testing/vcsim.ts'
import { openLibrary } from './_vsphere-library.ts'
import type { VsphereOptions, VsphereProviderOptions } from './_vsphere-schemas.ts'
import { keepingAlive } from './_vsphere-upload.ts'
import { vsphereTarget as target } from './vsphere.ts'

const at = await tempDir()

test('a lease is kept for as long as the work lasts, even if telling of it fails', async () => {
  const often = Promise.withResolvers<string>()
  let told = 0
  const keep = async () => {
    if (++told > 2) often.resolve('done')
    throw new Error('nobody listens')
  }
  assert.equal(await keepingAlive(keep, () => often.promise, 1), 'done')
})

suite('the vSphere target', { skip: whyNoVcsim() ?? false }, async () => {
  await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
  const disk = await openTestDisk(at('disk.raw'), at('.'))
  const vcsim = await openVcsim()
  const http = openCloudHttp({ trust: { insecure: true } })
  after(async () => {
    for (const one of [http, vcsim, disk]) await one[Symbol.asyncDispose]()
  })
  const signal = new AbortController().signal
  const provider = (options: Partial<VsphereProviderOptions> = {}, password = 'pass') => ({
    name: 'vsphere',
    options: {
      url: vcsim.url,
      insecure: true,
      datacenter: 'DC0',
      compute_resource: 'DC0_C0',
      datastore: 'LocalDS_0',
      poll_seconds: 0,
      ...options,
    },
    credentials: { username: 'user', password },
  })
  const push = async (options: VsphereOptions, to = provider()) => {
    const { job, written } = pushJob({ disk, options, provider: to })
    return { written, pushed: await target.push!(job) }
  }
  const account = { url: vcsim.url, username: 'user', password: 'pass' }
  const find = async (path: string) => {
    await using vsphere = await Vsphere.open(http, account, signal)
    return await vsphere.find(path, signal)
  }

  test('imports a machine whose disk streams, marks it as a template, and removes it', async () => {
    const { pushed, written } = await push({
      vsphere_name: 'web',
      vsphere_cpus: 2,
      vsphere_memory: 4096,
    })
    const machine = await find('DC0/vm/web')
    assert.equal(pushed.identifier, `machine:${machine?.id}`)
    const { size } = await disk.open('vmdk-stream')
    assert.ok(vcsim.log.some((line) => line.endsWith(`transferred ${size} bytes`)))
    await using vsphere = await Vsphere.open(http, account, signal)
    const paths = ['config.hardware.numCPU', 'config.hardware.memoryMB', 'config.template']
    const found = await vsphere.properties(machine!, paths, signal)
    assert.deepEqual(
      paths.map((path) => found.get(path)?.textContent),
      ['2', '4096', 'true'],
    )
    assert.deepEqual(
      written.percents,
      written.percents.toSorted((a, b) => a - b),
    )
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(record, provider(), clearContext())
    assert.equal(await find('DC0/vm/web'), undefined)
    await target.remove!(record, provider(), clearContext())
  })

  test('clears a machine that was made', async () => {
    const { written } = await push({ vsphere_name: 'half' }, provider({ result: 'vm' }))
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
    assert.equal(await find('DC0/vm/half'), undefined)
  })

  test('says which thing of the inventory is not there', async () => {
    const to = provider({ datastore: 'nowhere' })
    await assert.rejects(push({}, to), (error: Error) =>
      /DC0\/datastore\/nowhere/.test(error.message),
    )
  })

  test('fills an item of a content library, and removes it', async () => {
    const library = await openLibrary(http, provider(), signal)
    const local = library.base.replace(/library$/, 'local-library')
    const store = await find('DC0/datastore/LocalDS_0')
    const backings = [{ type: 'DATASTORE', datastore_id: store?.id }]
    const spec = { create_spec: { name: 'builds', type: 'LOCAL', storage_backings: backings } }
    await askRest(library.rest, { method: 'POST', url: local, json: spec, signal })
    const to = provider({ result: 'library', library: 'builds' })
    const { pushed } = await push({ vsphere_name: 'web' }, to)
    const url = `${library.base}/item/file?library_item_id=${pushed.identifier.slice('item:'.length)}`
    const { json } = await askRest(library.rest, { url, signal })
    const files = (json as { value: { name: string; size: number }[] }).value
    const { size } = await disk.open('vmdk-stream')
    assert.equal(files.find(({ name }) => name === 'disk.vmdk')?.size, size)
    assert.ok(files.some(({ name }) => name === 'image.ovf'))
    const record = factoryImage({ identifierOnProvider: pushed.identifier })
    await target.remove!(record, to, clearContext())
    await target.remove!(record, to, clearContext())
  })

  test('clears an item of which nobody learned the id, and no other of its name', async () => {
    const to = provider({ result: 'library', library: 'builds' })
    const { job, written } = pushJob({ disk, options: { vsphere_name: 'lost' }, provider: to })
    const pushed = await target.push!(job)
    const held = written.held.map((thing) => ({ ...(thing as object), id: null }))
    const library = await openLibrary(http, provider(), signal)
    const url = `${library.base}/item/id:${pushed.identifier.slice('item:'.length)}`
    const clear = async (imageId: string) =>
      await target.clear!(held, to, { ...clearContext(), imageId })
    assert.deepEqual(await clear(crypto.randomUUID()), [])
    await askRest(library.rest, { url, signal })
    assert.deepEqual(await clear(job.image.id), [])
    await assert.rejects(askRest(library.rest, { url, signal }), failsWith('CLOUD_NOT_FOUND'))
  })

  test('ends when it is interrupted', async () => {
    const { job } = pushJob({
      disk,
      options: {},
      provider: provider(),
      signal: AbortSignal.abort(),
    })
    await assert.rejects(async () => await target.push!(job), failsWith('INTERRUPTED'))
  })
})
