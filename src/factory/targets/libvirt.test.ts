import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { findProgram, runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openTestLibvirt } from '../../testing/libvirtd.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { recipeOf } from '../../testing/recipe-text.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { LibvirtOptions, LibvirtProviderOptions } from './_libvirt-schemas.ts'
import { libvirtTarget as target } from './libvirt.ts'

const missing = ['libvirtd', 'virsh'].filter((name) => findProgram(name) === undefined)
const skip = missing.length > 0 && `${missing.join(' and ')} not installed`

suite('the libvirt target and a real libvirtd', { skip }, async () => {
  if (skip !== false) return
  const at = await tempDir()
  await makeSparseDisk(at('disk.raw'), 96 * MiB + 512)
  const disk = await openTestDisk(at('disk.raw'), at('.'))
  const libvirt = await openTestLibvirt()
  after(async () => {
    for (const one of [libvirt, disk]) await one[Symbol.asyncDispose]()
  })
  const { uri, pool, directory } = libvirt
  const provider = (more: LibvirtProviderOptions = {}) => ({
    name: 'here',
    options: { uri, pool, ...more },
    credentials: {},
    isConfigured: true,
  })
  const push = async (options: LibvirtOptions, who = provider(), signal?: AbortSignal) => {
    const { job, written } = pushJob({
      disk,
      options,
      provider: who,
      image: { id: crypto.randomUUID() },
      ...(signal && { signal }),
    })
    return { job, written, pushed: await target.push!(job) }
  }
  const volumes = async () => (await libvirt.virsh('vol-list', pool)).trim()

  for (const format of ['raw', 'qcow2', 'qcow2-zlib'] as const)
    test(`a ${format} volume is the disk, and libvirt knows what it is`, async () => {
      const { pushed, written } = await push({ libvirt_format: format })
      const name = pushed.identifier.slice(pool.length + 1)
      const wanted = await bytesOfSource(await disk.open(format))
      assert.ok((await readFile(join(directory, name))).equals(wanted))
      const xml = await libvirt.virsh('vol-dumpxml', '--pool', pool, name)
      assert.match(xml, format === 'raw' ? /format type='raw'/ : /format type='qcow2'/)
      assert.match(xml, new RegExp(`<capacity unit='bytes'>${disk.size}</capacity>`))
      assert.deepEqual(
        written.percents,
        written.percents.toSorted((a, b) => a - b),
      )
    })

  test('holes of a raw volume are not sent, and take no room', async () => {
    const { pushed, written } = await push({ libvirt_format: 'raw', libvirt_volume: 'sparse.img' })
    assert.equal(pushed.identifier, `${pool}/sparse.img`)
    const { blocks } = await stat(join(directory, 'sparse.img'))
    assert.ok(blocks * 512 < disk.size / 2, `${blocks * 512} of ${disk.size} bytes`)
    const [, sent = ''] = /^(\d+) bytes were sent/.exec(written.events.at(-1) ?? '') ?? []
    assert.ok(Number(sent) < disk.size / 2)
  })

  test('a machine is defined, and goes with its volume', async () => {
    const { pushed, job } = await push({
      libvirt_define: true,
      libvirt_name: 'web',
      libvirt_domain_type: 'qemu',
      libvirt_memory_mb: 300,
      libvirt_network: 'none',
      libvirt_volume: 'web.qcow2',
    })
    const xml = await libvirt.virsh('dumpxml', 'web')
    assert.match(xml, new RegExp(`<uuid>${job.image.id}</uuid>`))
    assert.match(xml, /<source pool='images' volume='web\.qcow2'\/>/)
    const image = factoryImage({
      id: job.image.id,
      identifierOnProvider: pushed.identifier,
      properties: pushed.properties ?? {},
    })
    await target.remove!(image, provider(), clearContext())
    assert.equal((await libvirt.virsh('list', '--all')).trim(), '')
    assert.doesNotMatch(await volumes(), /web\.qcow2/)
    await target.remove!(image, provider(), clearContext())
  })

  test('what is there already is neither overwritten nor cleared', async () => {
    await push({ libvirt_volume: 'taken.qcow2' })
    const before = await readFile(join(directory, 'taken.qcow2'))
    const options: LibvirtOptions = { libvirt_volume: 'taken.qcow2', libvirt_format: 'raw' }
    const { job, written } = pushJob({ disk, options, provider: provider() })
    await assert.rejects(async () => await target.push!(job), failsWith('CLOUD_FAILED'))
    assert.deepEqual(written.held, [])
    assert.ok((await readFile(join(directory, 'taken.qcow2'))).equals(before))
  })

  test('an interrupted push leaves nothing once it is cleared', async () => {
    const over = new AbortController()
    const { job, written } = pushJob({
      disk: {
        ...disk,
        open: async (format: string) => {
          const opened = await disk.open(format)
          const read = async (offset: number, length: number) => {
            over.abort()
            return await opened.read(offset, length)
          }
          const readInto = async (into: Uint8Array, offset: number) =>
            into.set(await read(offset, into.length))
          return { ...opened, read, readInto }
        },
      },
      options: { libvirt_volume: 'broken.qcow2' },
      provider: provider(),
      signal: over.signal,
    })
    await assert.rejects(async () => await target.push!(job), failsWith('INTERRUPTED'))
    assert.match(await volumes(), /broken\.qcow2/)
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
    assert.doesNotMatch(await volumes(), /broken\.qcow2/)
    assert.deepEqual(await target.clear!(written.held, provider(), clearContext()), [])
  })

  test('a pool that is not there, and a daemon that is away, are told of', async () => {
    await assert.rejects(push({}, provider({ pool: 'none' })), failsWith('CLOUD_NOT_FOUND'))
    const away = provider({ uri: 'qemu:///session?socket=/nonexistent/sock' })
    await assert.rejects(push({}, away), failsWith('CLOUD_AWAY'))
  })

  test('the volume can be read by who has it from libvirt', async () => {
    const { pushed } = await push({ libvirt_format: 'raw' })
    const name = pushed.identifier.slice(pool.length + 1)
    await libvirt.virsh('vol-download', '--pool', pool, name, at('back.raw'))
    await runTool(['cmp', at('disk.raw'), at('back.raw')])
  })
})

const faults = (uri: string) => findFaults(target.provider!.options, { uri }).length

suite('options of the libvirt target', () => {
  test('only daemons of this host are spoken to, and only by configured providers', async () => {
    assert.equal(faults('qemu:///system'), 0)
    for (const uri of [
      'qemu+ssh://host/system',
      'qemu+ext:///system?command=/bin/sh',
      'qemu:///system?command=x',
      'test:///etc/passwd',
      '-c',
    ])
      assert.ok(faults(uri), uri)
    const given = { name: 'given', options: {}, credentials: {} }
    const image = factoryImage({ identifierOnProvider: 'default/x' })
    await assert.rejects(
      async () => await target.remove!(image, given, clearContext()),
      failsWith('CONFIG_INVALID'),
    )
  })

  test('a guest of any family gets its agent, drivers and a console, as a recipe', () => {
    const facts = { distro: '', version: '', codename: '', prettyName: '', architecture: '' }
    for (const family of ['debian', 'redhat', 'suse'] as const) {
      const recipe = target.fit!({ ...facts, family }, {}) ?? ''
      assert.match(recipe, /qemu-guest-agent/)
      assert.ok(recipeOf(recipe).steps.length >= 3)
    }
    assert.equal(target.fit!({ ...facts, family: undefined }, {}), undefined)
  })

  test('names are plain: no options of virsh, no paths, no XML', () => {
    for (const libvirt_volume of ['--delete', '../x', 'a/b', "a'b", 'a b', '<x>', ''])
      assert.notDeepEqual(findFaults(target.options, { libvirt_volume }), [], libvirt_volume)
    assert.deepEqual(findFaults(target.options, { libvirt_volume: 'debian-12.qcow2' }), [])
  })
})
