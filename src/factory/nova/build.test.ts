import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { isFailure } from '../../base/failure.ts'
import { failsWith } from '../../testing/fails-with.ts'
import type { FakeOpenStackOptions } from '../../testing/fake-openstack.ts'
import { openNovaScene } from '../../testing/nova-scene.ts'
import { type Sshd, startSshd, whyNoSshd } from '../../testing/sshd.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { templateOf } from '../../testing/template-of.ts'
import { type TestBuild, buildJob } from '../../testing/build-job.ts'
import type { NovaOptions } from './nova-options.ts'

const skip = whyNoSshd() ?? false
const at = await tempDir()

const recipe = (script: string) =>
  templateOf(`validators: [{ script: { run: { inline: ${JSON.stringify(script)} } } }]`)

/** Whole builds: the cloud is small and ours, the guest is a host with an sshd. */
describe('a build on a cloud', { skip }, () => {
  let sshd: Sshd
  let keys: Pick<NovaOptions, 'keypair' | 'private_key'>
  let builds = 0
  before(async () => {
    sshd = await startSshd({
      users: { debian: { sudo: 'free' } },
      // There is no machine to be shut down: it is only written down that it was asked for.
      prepare: `printf '#!/bin/sh\\necho "$@" > /run/asked\\n' > /usr/local/sbin/systemctl
        chmod +x /usr/local/sbin/systemctl`,
    })
    keys = { keypair: 'mine', private_key: await readFile(sshd.identityFile, 'utf8') }
  })
  after(async () => await sshd[Symbol.asyncDispose]())

  const start = async (
    options: NovaOptions = {},
    build: Partial<TestBuild<NovaOptions>> = {},
    cloud: FakeOpenStackOptions = {},
  ) => {
    const scene = await openNovaScene(cloud)
    after(() => scene[Symbol.asyncDispose]())
    scene.fake.state.keypairs.set('mine', 'ssh-ed25519 AAAA')
    const workDir = at(String(++builds))
    await mkdir(workDir)
    const given = {
      ssh_port: sshd.port,
      clean: false,
      image_name: 'golden',
      ...keys,
      ...(options.installer_image === undefined &&
        options.installer_iso === undefined && { source_image: 'debian-12' }),
      ...options,
    }
    const { job, written } = buildJob({ options: given, workDir, ...build })
    scene.fake.state.onLook = (server) => {
      if (written.phases.includes('stopping the instance')) server.status = 'SHUTOFF'
    }
    return { ...scene, job, written, run: async () => await scene.builder.build(job) }
  }
  it('begins with a cloud image, leaves an image in the cloud and in the store, and nothing else', async () => {
    const { fake, job, written, run, clients } = await start(
      { image_properties: { team: 'one' }, visibility: 'private' },
      { template: recipe('echo made-by-a-build') },
    )
    const { body, properties, documents } = await run()
    const id = JSON.stringify(properties?.['x-image-properties-glance_id']).slice(1, -1)
    const image = fake.state.images.get(id)
    assert.equal(body?.format, 'qcow2')
    assert.deepEqual(await readFile(body?.path ?? ''), image?.data)
    assert.deepEqual(
      [image?.fields['name'], image?.fields['team'], image?.fields['ingot_image']],
      ['golden', 'one', job.image.id],
    )
    for (const left of ['instance_uuid', 'base_image_ref', 'image_type', 'ingot_build'])
      assert.equal(image?.fields[left], undefined, left)
    assert.match(documents?.icicle ?? '', /<package name="/)
    assert.match(documents?.report ?? '', /"changed"/)
    assert.match(written.output, /made-by-a-build/)
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
    assert.deepEqual(written.held, [])
    assert.equal(await sshd.inside('cat /run/asked'), '--no-block poweroff\n')
    assert.deepEqual(clients, { opened: 1, closed: 1 })
    const [last, ...earlier] = written.percents.toReversed()
    assert.ok(earlier.every((percent) => percent <= (last ?? 0)))
  })

  it('leaves its image where it is wanted only', async () => {
    const inCloud = await start({ result: 'cloud' })
    assert.equal((await inCloud.run()).body, undefined)
    const inStore = await start({ result: 'store' })
    const { body, properties } = await inStore.run()
    assert.deepEqual([body?.format, properties], ['qcow2', undefined])
    assert.deepEqual([inCloud.fake.state.images.size, inStore.fake.state.images.size], [2, 1])
  })

  it('is reached by a floating address, through a group of its own', async () => {
    const { fake, run } = await start({ request_floating_ip: true, result: 'cloud' })
    fake.fail({ on: 'POST /network/v2.0/floatingips', status: 500, done: true })
    await run()
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
    const asked = fake.asked.filter((line) => line === 'POST /network/v2.0/floatingips')
    assert.equal(asked.length, 1)
  })

  it('installs by an installer’s own disk, whose answer file is its user data', async () => {
    const { fake, run, written } = await start({
      installer_image: 'debian-12',
      install_script: 'd-i hidden',
      result: 'cloud',
    })
    fake.state.becomes = { install: { status: 'SHUTOFF' } }
    const servers: string[] = []
    const { set } = fake.state.servers
    fake.state.servers.set = function (id, server) {
      servers.push(
        `${server.name.split('-').at(-1)} of ${String(fake.state.images.get(server.imageId ?? '')?.fields['name'])}: ${Buffer.from(server.userData ?? '', 'base64').toString()}`,
      )
      return set.call(this, id, server)
    }
    fake.fail({
      on: /^GET .*\/servers\/[^/]+$/,
      status: 200,
      times: 1,
      body: { server: { id: 'x', name: 'x', status: 'ACTIVE' } },
    })
    await run()
    assert.match(servers[0] ?? '', /^install of debian-12: d-i hidden$/)
    assert.match(servers[1] ?? '', /^guest of ingot-.*-installed: $/)
    assert.deepEqual(written.secrets.includes('d-i hidden'), true)
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
  })

  it('boots from volumes, and installs from an ISO onto one', async () => {
    const volumes = { volumes: true }
    const { fake, run } = await start(
      { installer_iso: 'debian-12', boot_from_volume: true, result: 'cloud' },
      {},
      volumes,
    )
    fake.state.becomes = { install: { status: 'SHUTOFF' } }
    fake.fail({
      on: /^GET .*\/servers\/[^/]+$/,
      status: 200,
      times: 1,
      body: { server: { id: 'x', name: 'x', status: 'ACTIVE' } },
    })
    await run()
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
    assert.equal(
      fake.asked.filter((line) => line.includes('/volumes') && line.startsWith('POST')).length,
      3 + 2,
    )
  })

  it('fails with the step that failed; what it made is noted, and cleared away', async () => {
    const template = recipe('exit 7')
    const { fake, run, written, builder, clearContext } = await start({}, { template })
    fake.state.console = 'kernel: hello\n'
    await assert.rejects(run(), failsWith('STEP_FAILED'))
    assert.match(written.console, /kernel: hello/)
    assert.equal(written.held.length, 3)
    assert.deepEqual(await builder.clear?.(written.held, clearContext()), [])
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
  })

  it('keeps all that it made when it fails, if that is wanted, until somebody reaps it', async () => {
    const template = recipe('exit 7')
    const { fake, run, written, builder, clearContext } = await start(
      { keep_on_failure: true },
      { template },
    )
    await assert.rejects(run(), failsWith('STEP_FAILED'))
    const there = fake.leftovers()
    assert.deepEqual(await builder.clear?.(written.held, clearContext()), written.held)
    assert.deepEqual(fake.leftovers(), there)
    assert.deepEqual(await builder.clear?.(written.held, clearContext({ why: 'reap' })), [])
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
  })

  it('leaves no image when it fails at its very end', async () => {
    const { fake, run, written, builder, clearContext } = await start({ result: 'cloud' })
    fake.fail({ on: /^DELETE .*\/ports\//, status: 403 })
    await assert.rejects(run(), failsWith('CLOUD_DENIED'))
    assert.deepEqual(await builder.clear?.(written.held, clearContext()), [])
    assert.deepEqual([fake.leftovers(), fake.state.images.size], [['keypair mine'], 1])
  })

  it('that is cancelled stops at once, and is cleared away', async () => {
    const stop = new AbortController()
    const template = recipe('echo begun; sleep 6000017')
    const { fake, run, written, builder, clearContext, clients } = await start(
      {},
      { template, signal: stop.signal },
    )
    const watch = setInterval(() => written.output.includes('begun') && stop.abort(), 20)
    await assert.rejects(run())
    clearInterval(watch)
    assert.deepEqual(clients, { opened: 1, closed: 1 })
    assert.deepEqual(await builder.clear?.(written.held, clearContext()), [])
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
    assert.equal(await sshd.inside('pgrep -f [6]000017 || :'), '')
  })

  it('goes on over tokens that end, answers that get lost, and services that stumble', async () => {
    const { fake, run } = await start({ result: 'cloud', request_floating_ip: true })
    for (const on of [
      'POST /compute/v2.1/servers',
      'POST /network/v2.0/ports',
      'POST /network/v2.0/security-groups',
    ])
      fake.fail({ on, done: true, onceAsked: () => fake.revokeTokens() })
    fake.fail({ on: 'DELETE', status: 503, times: 2 })
    fake.fail({ on: /^PATCH/, status: 500 })
    fake.fail({ on: 'GET /compute/v2.1/servers/', times: 2, status: 504 })
    await run()
    assert.deepEqual(fake.leftovers(), ['keypair mine'])
  })

  it('shows no secret in what it writes', async () => {
    const { run, written } = await start({ result: 'cloud', user_data: '#cloud-config hidden' })
    await run()
    assert.ok(written.secrets.includes('#cloud-config hidden'))
    const all = [written.events, written.output, written.properties, [...written.documents]]
    assert.doesNotMatch(JSON.stringify(all), /not-shown|gAAAA|OPENSSH PRIVATE|hidden/)
  })

  it('fails when the image that was fetched is not the one that the cloud has', async () => {
    const { fake, run } = await start({ result: 'store' })
    fake.fail({ on: /^GET .*\/file$/, status: 200, body: 'another' })
    await assert.rejects(run(), (error) => isFailure(error, 'DIGEST_MISMATCH'))
  })
})
