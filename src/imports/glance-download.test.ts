import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openKeystone } from '../clouds/keystone.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeKeystone } from '../testing/fake-keystone.ts'
import { importOf, MEMBER } from '../testing/import-bench.ts'
import { DISK, importBenches, importInto, sha512 } from '../testing/import-scene.ts'
import { openWebServer } from '../testing/web-server.ts'

const openBench = await importBenches()

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
    const { image, task } = await importInto(one, id, { ...request, caller })
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
    const { image } = await importInto(one, id, { ...request, caller })
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
    const { image, task } = await importInto(one, id, { ...request, caller })
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
      const asked = await importInto(one, image.id, { ...request, parameters, caller })
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
