/** Programs of others read what the compressed views give: every format, at every odd size. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB, SECTOR } from '../../base/units.ts'
import { everyUnit, mapOf } from '../../testing/disk-map-of.ts'
import { mixedDisk } from '../../testing/mixed-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { bytesOf, writeContent } from '../../testing/view-bytes.ts'
import type { ClusterCodec } from '../cluster-index.ts'
import { openClusterStore } from '../cluster-store.ts'
import { type DiskMap, UNIT } from '../disk-map.ts'
import { makeClusterStore } from '../make-cluster-store.ts'
import { makeView } from '../views.ts'

const at = await tempDir()
const run = async (...argv: string[]) => String(await runTool(argv))

const DISKS: Readonly<Record<string, DiskMap>> = {
  'one sector': mapOf(SECTOR, [0]),
  'no data at all': mapOf(10 * MiB, []),
  'a unit and a sector, which holds all data': mapOf(64 * KiB + SECTOR, [1]),
  'nothing that can be compressed': mapOf(
    40 * 7 * UNIT,
    [...everyUnit(7, 40 * 7 * UNIT)].map((n) => n + 1),
  ),
  'full, with a short last unit': mapOf(21 * MiB - SECTOR, everyUnit(1, 21 * MiB)),
  'scattered, more than a block of a sparse list': mapOf(66 * MiB + SECTOR, everyUnit(3, 66 * MiB)),
  'large and nearly empty': mapOf(600 * MiB + 3 * SECTOR, [0, 5, 6, 7, 511, 512, 8191, 8192, 9600]),
}

/** `program` gives, on its output, what the raw file holds. */
const gives = async (program: string, packed: string, raw: string) =>
  await run('sh', '-c', `${program} "$1" | cmp - "$2"`, 'sh', packed, raw)

for (const [disk, map] of Object.entries(DISKS))
  describe(`a disk: ${disk}`, async () => {
    const source = mixedDisk(map)
    const slug = disk.replaceAll(/\W+/g, '-')
    const raw = await writeContent(at(`${slug}.raw`), makeView('raw', { map, identity: disk }), {
      disk: source,
    })
    const storeOf = async (codec: ClusterCodec) => {
      const options = { disk: source, map, codec, path: at(`${slug}.${codec}`) }
      await using store = await makeClusterStore(options, makeContext())
      return store.index
    }

    const inputs = {
      deflate: storeOf('deflate'),
      'deflate-wide': storeOf('deflate-wide'),
      zstd: storeOf('zstd'),
    }
    const written = async (
      format: string,
      codec: ClusterCodec = 'deflate',
      vmdkDigest?: string,
    ) => {
      const input = { map, identity: disk, clusters: await inputs[codec], vmdkDigest }
      const view = makeView(format, input)
      await using store = await openClusterStore(at(`${slug}.${codec}`))
      const origins = { disk: source, store: store.payload }
      const path = await writeContent(at(`${slug}.${format}`), view, origins)
      assert.equal((await stat(path)).size, view.length)
      return path
    }
    const isSame = async (path: string, driver: string) => {
      const compared = await run('qemu-img', 'compare', '-f', 'raw', '-F', driver, raw, path)
      assert.match(compared, /^Images are identical/m)
    }

    for (const [format, codec] of [
      ['qcow2-zlib', 'deflate'],
      ['qcow2-zstd', 'zstd'],
    ] as const)
      it(`is the same as ${format}, whose reference counts are right`, async () => {
        const path = await written(format, codec)
        const info = JSON.parse(await run('qemu-img', 'info', '--output=json', path))
        assert.equal(info['virtual-size'], map.size)
        assert.equal(info['format-specific'].data['compression-type'], format.slice(6))
        assert.match(await run('qemu-img', 'check', path), /^No errors were found/m)
        await isSame(path, 'qcow2')
      })

    it('is the same as a streamOptimized VMDK', async () => {
      const path = await written('vmdk-stream')
      const info = JSON.parse(await run('qemu-img', 'info', '--output=json', path))
      assert.equal(info['virtual-size'], map.size)
      assert.equal(info['format-specific'].data['create-type'], 'streamOptimized')
      await isSame(path, 'vmdk')
      await isSame(await written('vmdk-stream', 'deflate-wide'), 'vmdk')
    })

    it('comes out of gunzip and zstd byte for byte', async () => {
      await gives('gzip -dc', await written('raw.gz'), raw)
      await run('gzip', '-t', await written('raw.gz', 'deflate-wide'))
      await gives('zstd -dc', await written('raw.zst', 'zstd'), raw)
    })

    it('comes out of GNU tar as a sparse disk.raw of whole GiB', async () => {
      const directory = at(`${slug}-gce`)
      await mkdir(directory)
      await run('tar', '-xzf', await written('gce'), '-C', directory)
      const extracted = await stat(`${directory}/disk.raw`)
      assert.equal(extracted.size, Math.ceil(map.size / GiB) * GiB)
      assert.ok(extracted.blocks * SECTOR <= map.dataUnits * UNIT + MiB, 'it has holes')
      await isSame(`${directory}/disk.raw`, 'raw')
    })

    it('comes out of an OVA, whose descriptor and manifest are true', async () => {
      const vmdk = await readFile(await written('vmdk-stream', 'deflate'))
      const digest = createHash('sha256').update(vmdk).digest('hex')
      for (const format of ['ova', 'ova-virtualbox']) {
        const directory = at(`${slug}-${format}`)
        await mkdir(directory)
        const path = await written(format, 'deflate', digest)
        assert.equal(await run('tar', '-tf', path), 'image.ovf\nimage.mf\ndisk.vmdk\n')
        await run('tar', '-xf', path, '-C', directory)
        assert.equal(Buffer.compare(await readFile(`${directory}/disk.vmdk`), vmdk), 0)
        const ovf = await readFile(`${directory}/image.ovf`)
        assert.ok(ovf.includes(`ovf:size="${vmdk.length}"`), String(ovf))
        assert.ok(ovf.includes(`ovf:capacity="${map.size}" ovf:capacityAllocationUnits="byte"`))
        assert.equal(
          String(await readFile(`${directory}/image.mf`)),
          `SHA256(image.ovf)= ${createHash('sha256').update(ovf).digest('hex')}\n` +
            `SHA256(disk.vmdk)= ${digest}\n`,
        )
      }
    })
  })

describe('an OVA', async () => {
  const map = mapOf(MiB, [3])
  const options = { disk: mixedDisk(map), map, codec: 'deflate', path: at('plain') } as const
  await using store = await makeClusterStore(options, makeContext())
  const input = { map, identity: 'x', clusters: store.index }

  const text = async (format: string) =>
    String(await bytesOf(makeView(format, input), { store: store.payload }, 0, 8 * KiB))

  it('has no manifest when nobody knows the digest of its disk, and another ETag with one', async () => {
    const plain = makeView('ova', input)
    const bytes = await bytesOf(plain, { store: store.payload }, 0, 64 * KiB)
    assert.ok(!bytes.includes('image.mf'))
    const vmdkDigest = 'ab'.repeat(32)
    assert.notEqual(makeView('ova', { ...input, vmdkDigest }).etag, plain.etag)
    for (const other of ['raw', 'raw.gz', 'qcow2-zlib', 'vmdk-stream'])
      assert.equal(makeView(other, { ...input, vmdkDigest }).etag, makeView(other, input).etag)
  })

  it('differs between VMware and VirtualBox in controller and machine', async () => {
    assert.match(await text('ova'), /vmx-13[^]*lsilogic/)
    assert.match(await text('ova-virtualbox'), /virtualbox-2\.2[^]*AHCI/)
  })
})
