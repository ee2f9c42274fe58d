import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeOpenStack } from '../../testing/fake-openstack.ts'
import { openOpenStack } from './open-openstack.ts'

const fake = await openFakeOpenStack({ volumes: true })
after(() => fake[Symbol.asyncDispose]())
const cloud = openOpenStack(
  { cloud: fake.cloud, patience: { retries: 2, delayMs: 1 } },
  makeContext(),
)
after(() => cloud[Symbol.asyncDispose]())
const { state } = fake

async function* pieces(...all: string[]) {
  for (const one of all) yield Buffer.from(one)
}
async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString()
}

suite('the image service', () => {
  const { image: images } = cloud

  test('takes data and gives it back, from a byte on too', async () => {
    const { id, status } = await images.create({ name: 'a', diskFormat: 'raw', tags: ['t'] })
    assert.equal(status, 'queued')
    await images.upload(id, { stream: pieces('hel', 'lo'), size: 5 })
    const { status: now, size, digest } = await images.get(id)
    assert.deepEqual([now, size, digest?.algorithm], ['active', 5, 'sha512'])
    const { stream, length } = await images.download(id)
    assert.deepEqual([await textOf(stream), length], ['hello', 5])
    assert.equal(await textOf((await images.download(id, 3)).stream), 'lo')
  })

  test('is not told that content is whole which is shorter or longer than was said', async () => {
    for (const size of [4, 6]) {
      const { id } = await images.create({ name: 'short', diskFormat: 'raw' })
      await assert.rejects(images.upload(id, { stream: pieces('hello'), size }), /is not of the/)
      assert.equal((await images.get(id)).status, 'queued')
    }
  })

  test('gets data with a token that is good, since it cannot be sent twice', async () => {
    const { id } = await images.create({ name: 'b', diskFormat: 'raw' })
    fake.revokeTokens()
    await images.upload(id, { stream: pieces('once'), size: undefined })
    assert.equal((await images.get(id)).status, 'active')
  })

  test('makes one image however often it is asked, when answers are lost', async () => {
    fake.fail({ on: 'POST /image/v2/images', status: 502, done: true })
    const before = state.images.size
    const made = await images.create({ name: 'c', diskFormat: 'raw' })
    assert.equal(state.images.size, before + 1)
    assert.equal((await images.get(made.id)).name, 'c')
  })

  test('is asked for images by name, of several the newest, and says what there is', async () => {
    assert.equal((await images.find('a')).name, 'a')
    await assert.rejects(images.find('none'), (error) => {
      assert.match(String(error), /no image 'none': there are a/)
      return failsWith('CLOUD_NOT_FOUND')(error)
    })
  })

  test('lists page after page', async () => {
    for (let n = 0; n < 205; n++) await images.create({ name: 'many', diskFormat: 'raw' })
    assert.equal((await images.list({ name: 'many' })).length, 205)
  })

  test('changes, adds and removes properties; what is not there cannot go', async () => {
    const { id } = await images.create({
      name: 'd',
      diskFormat: 'raw',
      properties: { x: '1', y: '2' },
    })
    const changed = await images.change(id, {
      x: null,
      y: '3',
      'a/b~c': '4',
      gone: null,
      name: 'e',
    })
    assert.deepEqual(
      [changed.name, changed.properties['x'], changed.properties['y']],
      ['e', undefined, '3'],
    )
    assert.deepEqual([await images.delete(id), await images.delete(id)], [true, false])
  })

  test('tells how it imports, and of stores only if it knows any', async () => {
    assert.deepEqual(await images.importMethods(), ['glance-direct'])
    assert.deepEqual(await images.stores(), [])
  })
})

suite('the compute service', () => {
  const { compute } = cloud
  const start = async (name: string) => {
    const [network] = await cloud.network.listNetworks()
    const networkId = network?.id ?? ''
    const port = await cloud.network.createPort({ name, networkId, mark: 'ingot_build=1' })
    const image = await cloud.image.find('a')
    const metadata = { ingot_build: '1' }
    const userData = '#cloud-config'
    const portIds = [port.id]
    return await compute.createServer({
      name,
      flavorId: '1',
      imageId: image.id,
      portIds,
      userData,
      metadata,
    })
  }

  test('makes servers, once each, finds them, and lets them go', async () => {
    fake.fail({ on: 'POST /compute/v2.1/servers', status: 500, done: true })
    const id = await start('ingot-1')
    assert.equal(state.servers.size, 1)
    const server = await compute.getServer(id)
    assert.deepEqual([server.status, server.taskState], ['ACTIVE', null])
    assert.deepEqual(server.addresses, [
      { network: 'net', address: '127.0.0.1', version: 4, kind: 'fixed' },
    ])
    assert.equal(
      Buffer.from(state.servers.get(id)?.userData ?? '', 'base64').toString(),
      '#cloud-config',
    )
    assert.deepEqual(
      (await compute.listServers('ingot-')).map((one) => one.id),
      [id],
    )
    assert.deepEqual(await compute.listServers('ingot.'), [])
    await compute.stopServer(id)
    await compute.stopServer(id)
    assert.equal((await compute.getServer(id)).status, 'SHUTOFF')
    const imageId = await compute.createImage(id, 'snap', { ingot_build: '1' })
    assert.equal((await cloud.image.get(imageId)).properties['instance_uuid'], id)
    assert.deepEqual(
      [await compute.deleteServer(id), await compute.deleteServer(id)],
      [true, false],
    )
    await assert.rejects(compute.getServer(id), failsWith('CLOUD_NOT_FOUND'))
  })

  test('tells the image of a snapshot in a header before 2.45', async () => {
    await using old = await openFakeOpenStack({ microversion: '2.40' })
    await using cloud = openOpenStack({ cloud: old.cloud }, makeContext())
    const portIds: string[] = []
    const image = await cloud.image.create({ name: 'a', diskFormat: 'raw' })
    await cloud.image.upload(image.id, { stream: pieces('x'), size: 1 })
    const id = await cloud.compute.createServer({
      name: 's',
      flavorId: '1',
      imageId: image.id,
      portIds,
      metadata: {},
    })
    const made = await cloud.compute.createImage(id, 'snap', {})
    assert.ok(old.state.images.has(made))
  })

  test('shows consoles and activity where it may; else nothing', async () => {
    const id = await start('ingot-2')
    state.console = 'login: '
    assert.equal(await compute.readConsole(id), 'login: ')
    state.console = undefined
    assert.equal(await compute.readConsole(id), undefined)
    assert.equal(await compute.readActivity(id), undefined)
    state.diagnostics = { vda_read: 1, vda_write: 2, tap1_rx: 3, tap1_tx: 4, memory: 99 }
    assert.deepEqual(await compute.readActivity(id), { diskBytes: 3, networkBytes: 7 })
    state.diagnostics = {
      disk_details: [{ read_bytes: 5, write_bytes: 6, read_requests: 9 }],
      nic_details: [{ rx_octets: 1, tx_octets: 1, rx_packets: 9 }],
    }
    assert.deepEqual(await compute.readActivity(id), { diskBytes: 11, networkBytes: 2 })
    assert.equal(await compute.readConsole('gone'), undefined)
  })

  test('keeps a keypair that is there already if it is the same', async () => {
    await compute.createKeypair('k', 'ssh-ed25519 AAAAx')
    await compute.createKeypair('k', 'ssh-ed25519 AAAAx')
    await assert.rejects(compute.createKeypair('k', 'ssh-ed25519 AAAAy'), /already exists/)
    assert.deepEqual(await compute.listKeypairs(), ['k'])
    assert.deepEqual(
      [await compute.deleteKeypair('k'), await compute.deleteKeypair('k')],
      [true, false],
    )
    assert.deepEqual(await compute.listZones(), ['nova'])
  })
})

test('lists that come in pages are read to their end', async () => {
  const many = await openFakeOpenStack({ volumes: true })
  await using _ = many
  await using paged = openOpenStack({ cloud: many.cloud }, makeContext())
  const names = ['one', 'two', 'three']
  for (const name of names) {
    await paged.compute.createKeypair(name, 'ssh-ed25519 AAAAx')
    await paged.volume.create({ name, sizeGiB: 1, metadata: {} })
    await paged.network.createSecurityGroup(name, 'ingot_build=5')
  }
  many.state.pageSize = 1
  assert.deepEqual(await paged.compute.listKeypairs(), names)
  assert.equal((await paged.compute.listFlavors()).length, 2)
  assert.equal((await paged.volume.list()).length, 3)
  assert.equal((await paged.network.listSecurityGroups()).length, 4)
})

suite('the other services', () => {
  test('of networks let SSH in once, give floating addresses, and forget', async () => {
    const { network } = cloud
    const group = await network.createSecurityGroup('g', 'ingot_build=2')
    await network.allowTcp(group.id, 22)
    await network.allowTcp(group.id, 22)
    assert.equal(state.groups.get(group.id)?.rules.length, 2)
    const [inner, outer] = await network.listNetworks()
    assert.deepEqual([inner?.isExternal, outer?.isExternal], [false, true])
    const given = { name: 'p', networkId: inner?.id ?? '', securityGroupIds: [group.id] }
    const port = await network.createPort({ ...given, mark: 'ingot_build=2' })
    const networkId = outer?.id ?? ''
    const floating = await network.createFloatingIp({
      networkId,
      portId: port.id,
      mark: 'ingot_build=2',
    })
    assert.deepEqual(
      (await network.listFloatingIps('ingot_build=2')).map(({ id }) => id),
      [floating.id],
    )
    assert.deepEqual(await network.listFloatingIps('ingot_build=3'), [])
    await assert.rejects(network.deleteSecurityGroup(group.id), /in use/)
    assert.equal(await network.deleteFloatingIp(floating.id), true)
    assert.equal(await network.deletePort(port.id), true)
    assert.equal(await network.deleteSecurityGroup(group.id), true)
    assert.equal(await network.deleteSecurityGroup(group.id), false)
  })

  test('of volumes make one, an image of it, and let it go', async () => {
    const { volume } = cloud
    fake.fail({ on: /^POST .*\/volumes$/, status: 504, done: true })
    const made = await volume.create({ name: 'v', sizeGiB: 3, metadata: { ingot_build: '4' } })
    assert.deepEqual(
      (await volume.list()).map(({ id }) => id),
      [made.id],
    )
    assert.deepEqual([made.status, made.sizeGiB], ['available', 3])
    const imageId = await volume.uploadToImage(made.id, 'of-volume', 'qcow2')
    assert.equal((await cloud.image.get(imageId)).name, 'of-volume')
    assert.deepEqual([await volume.delete(made.id), await volume.delete(made.id)], [true, false])
  })
})
