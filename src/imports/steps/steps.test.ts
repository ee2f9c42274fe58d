import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { GiB, MiB } from '../../base/units.ts'
import { memorySource, openFileSource, type Source } from '../../bytes/source.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { sampleImage } from '../../testing/sample-image.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { makeTinyImage } from '../../testing/tiny-image.ts'
import { convert } from './convert.ts'
import { injectMetadata } from './inject-metadata.ts'
import { introspect } from './introspect.ts'

const inTemp = await tempDir()

function wish(diskFormat: string, containerFormat = 'bare') {
  return convert.wish({ golden_format: 'raw' }, { diskFormat, containerFormat })
}

const options = { inject: { site: 'a' }, inject_ignore_roles: ['Admin'] }
const scene = { image: sampleImage(), data: memorySource(new Uint8Array()) }

async function describeFor(roles: string[]) {
  return await injectMetadata.describe(options, { ...scene, roles }, makeContext())
}

async function look(data: Source, parts: Parameters<typeof sampleImage>[0] = {}) {
  const image = sampleImage({ virtualSize: data.size, ...parts })
  return await introspect.describe({}, { image, data, roles: [] }, makeContext())
}

describe('convert', () => {
  it('makes one format of disks, and leaves alone what is none', () => {
    for (const format of ['raw', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'gpt'])
      assert.deepEqual(wish(format), { convertTo: 'raw' }, format)
    assert.deepEqual(wish('qcow2', 'compressed'), { convertTo: 'raw' })
    assert.deepEqual(wish('vmdk', 'ova'), { convertTo: 'raw' })
    assert.deepEqual(wish('iso'), {})
    assert.deepEqual(wish('raw', 'docker'), {})
  })
})

describe('inject-metadata', () => {
  it('sets its properties, but not for the roles it ignores', async () => {
    assert.deepEqual(await describeFor(['member']), { properties: { site: 'a' } })
    assert.deepEqual(await describeFor(['member', 'admin']), {})
  })
})

describe('introspect', () => {
  it('tells system, version, architecture and packages of what is inside, by reading alone', async () => {
    const path = inTemp('guest.raw')
    await makeTinyImage(path, {
      files: {
        '/var/lib/dpkg/status':
          'Package: tiny\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: amd64\n',
      },
    })
    await using file = await openFileSource(path)
    // As an object of a remote store: it can be read, and has no file.
    const { file: _, readInto: __, ...remote } = file
    const { properties, attachments, minDiskGiB, message } = await look(remote)
    assert.deepEqual(
      { ...properties, architecture: undefined },
      { os_type: 'linux', os_distro: 'debian', os_version: '12', architecture: undefined },
    )
    assert.match(properties?.['architecture'] ?? '', /^(x86_64|aarch64)$/)
    assert.deepEqual(JSON.parse(Buffer.from(attachments?.['packages'] ?? []).toString()), [
      { name: 'tiny', version: '1.2-3', architecture: 'amd64' },
    ])
    assert.deepEqual([minDiskGiB, message], [1, undefined])

    const said = { os_distro: 'ubuntu', os_version: '' }
    const other = await look(remote, { properties: said, minDiskGiB: 3 })
    assert.deepEqual(Object.keys(other.properties ?? {}).toSorted(), ['architecture', 'os_type'])
    assert.equal(other.minDiskGiB, undefined)
  })

  it('says in its message what it could not look into, which is no failure', async () => {
    const zeros = memorySource(new Uint8Array(2 * MiB))
    const { properties, message } = await look(zeros, { virtualSize: 3 * GiB + 1 })
    assert.equal(properties, undefined)
    assert.match(message ?? '', /^Not looked into: /)
    assert.equal((await look(zeros, { virtualSize: 3 * GiB + 1 })).minDiskGiB, 4)
    assert.match((await look(zeros, { diskFormat: 'qcow2' })).message ?? '', /no qcow2 image/)
  })

  it('leaves alone what is no disk', async () => {
    assert.deepEqual(await look(memorySource(new Uint8Array(512)), { diskFormat: 'iso' }), {})
  })

  it('tells when the store fails, and ends when it is interrupted', async () => {
    const away: Source = {
      ...memorySource(new Uint8Array(MiB)),
      read: async () => {
        throw new Failure('STORE_AWAY', 'store s3 is away')
      },
    }
    assert.match((await look(away)).message ?? '', /store s3 is away/)
    const signal = AbortSignal.abort()
    const scene = { image: sampleImage(), data: away, roles: [] }
    await assert.rejects(
      introspect.describe({}, scene, makeContext({ signal })),
      failsWith('INTERRUPTED'),
    )
  })
})
