import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { testCloudTargetContract } from '../../testing/cloud-target-contract.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { openFakeS3 } from '../../testing/fake-s3.ts'
import { clearContext, pushJob } from '../../testing/push-job.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { bytesOfSource, openTestDisk } from '../../testing/pushed-disk.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { isVersionPath } from './_file-index.ts'
import type { FileProvider } from './_file-place.ts'
import type { FileOptions } from './_file-schemas.ts'
import { fileTarget as target } from './file.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 40 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
const s3 = await openFakeS3({ buckets: ['images'], minPart: MiB })
after(async () => {
  for (const one of [s3, disk]) await one[Symbol.asyncDispose]()
})

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
let made = 0
/** A place, and how one looks into it. */
const newDirectory = async () => {
  const directory = at(`place-${made++}`)
  await mkdir(directory)
  const read = async (path: string) => await readFile(join(directory, path))
  const list = async () => {
    const found = await readdir(directory, { recursive: true, withFileTypes: true })
    return found
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
      .toSorted()
  }
  const provider = { name: 'shelf', options: { directory }, credentials: {}, isConfigured: true }
  return { provider, read, list }
}
const newBucket = async () => {
  const prefix = `p${made++}/`
  const options = { bucket: 'images', prefix, endpoint: s3.endpoint }
  const credentials = { access_key: s3.accessKey, secret_key: s3.secretKey }
  const read = async (path: string) => s3.content('images', `${prefix}${path}`) ?? Buffer.from('')
  const list = async () =>
    s3
      .objects('images')
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
  return { provider: { name: 'bucket', options, credentials }, read, list }
}
interface Shelf {
  readonly provider: FileProvider
  read(path: string): Promise<Buffer>
  list(): Promise<readonly string[]>
}

const readDocument = async (kind: string) =>
  kind === 'report' ? undefined : Buffer.from(`the ${kind}`)
const push = async (shelf: Shelf, options: FileOptions = {}, id: string = crypto.randomUUID()) => {
  const { job, written } = pushJob({ disk, options, provider: shelf.provider, image: { id } })
  return { pushed: await target.push!({ ...job, readDocument }), written }
}
const indexOf = async ({ read }: Shelf) => {
  const index = JSON.parse((await read('streams/v1/index.json')).toString())
  const products = JSON.parse((await read(index.index.images.path)).toString())
  return { index, products: products.products }
}

for (const [name, open] of [
  ['a directory', newDirectory],
  ['a bucket', newBucket],
] as const satisfies [string, () => Promise<Shelf>][])
  suite(`the file target and ${name}`, () => {
    test('every format arrives, and its check sums say so', async () => {
      const shelf: Shelf = await open()
      const { pushed, written } = await push(shelf, {
        file_formats: ['qcow2', 'raw', 'vhd', 'vhd-fixed'],
      })
      for (const [file, format] of [
        ['disk.qcow2', 'qcow2'],
        ['disk.raw', 'raw'],
        ['disk.vhd', 'vhd'],
        ['disk-vhd-fixed.vhd', 'vhd-fixed'],
      ] as const) {
        const wanted = await bytesOfSource(await disk.open(format))
        assert.ok((await shelf.read(`${pushed.identifier}/${file}`)).equals(wanted), file)
      }
      const sums = (await shelf.read(`${pushed.identifier}/SHA256SUMS`))
        .toString()
        .trim()
        .split('\n')
      assert.equal(sums.length, 8)
      for (const line of sums) {
        const [, digest = '', file = ''] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? []
        assert.equal(sha256(await shelf.read(`${pushed.identifier}/${file}`)), digest, file)
      }
      assert.deepEqual(
        written.percents,
        written.percents.toSorted((a, b) => a - b),
      )
    })

    test('the index tells Incus of a virtual machine', async () => {
      const shelf: Shelf = await open()
      const { pushed } = await push(shelf, { file_alias: 'golden' })
      const { index, products } = await indexOf(shelf)
      assert.deepEqual(index.index.images.products, ['debian:12:amd64:default'])
      const product = products['debian:12:amd64:default']
      assert.equal(product.aliases, 'debian/12,golden')
      const [version] = Object.keys(product.versions)
      assert.equal(version, pushed.identifier.split('/').at(-1))
      const { items } = product.versions[version ?? '']
      const image = items['disk.qcow2']
      assert.equal(image.ftype, 'disk-kvm.img')
      const [meta, data] = [
        await shelf.read(items['incus.tar.xz'].path),
        await shelf.read(image.path),
      ]
      assert.deepEqual([image.size, image.sha256], [data.length, sha256(data)])
      assert.equal(
        items['incus.tar.xz']['combined_disk-kvm-img_sha256'],
        sha256(Buffer.concat([meta, data])),
      )
      await writeFile(at('incus.tar.xz'), meta)
      const yaml = await runTool(['tar', '-xJOf', at('incus.tar.xz'), 'metadata.yaml'])
      assert.match(yaml.toString(), /architecture: "x86_64"/)
      assert.equal(items['manifest.json'].ftype, 'manifest')
    })

    test('two versions stand side by side, and one goes without the other', async () => {
      const shelf: Shelf = await open()
      const one = await push(shelf, { file_version: '1.0' })
      const two = await push(shelf, { file_version: '2.0' })
      const versions = async () =>
        Object.keys((await indexOf(shelf)).products['debian:12:amd64:default']?.versions ?? {})
      assert.deepEqual(await versions(), ['1.0', '2.0'])
      const image = factoryImage({ identifierOnProvider: one.pushed.identifier })
      await target.remove!(image, shelf.provider, clearContext())
      assert.deepEqual(await versions(), ['2.0'])
      const files = await shelf.list()
      assert.ok(!files.some((file) => file.startsWith(one.pushed.identifier)))
      assert.ok(files.includes(`${two.pushed.identifier}/disk.qcow2`))
      await target.remove!(image, shelf.provider, clearContext())
    })

    test('pushes at the same time are all in the index', async () => {
      const shelf: Shelf = await open()
      const names = ['a', 'b', 'c', 'd']
      await Promise.all(names.map(async (file_variant) => await push(shelf, { file_variant })))
      assert.deepEqual(
        Object.keys((await indexOf(shelf)).products),
        names.map((variant) => `debian:12:amd64:${variant}`),
      )
    })

    test('a version that is there is not overwritten by another image', async () => {
      const shelf: Shelf = await open()
      const id = crypto.randomUUID()
      await push(shelf, { file_version: '1' }, id)
      await assert.rejects(push(shelf, { file_version: '1' }), failsWith('CLOUD_FAILED'))
      await push(shelf, { file_version: '1' }, id)
    })

    test('what was written of a push that failed is removed', async () => {
      const shelf: Shelf = await open()
      const kept = await push(shelf)
      const broken = {
        ...disk,
        open: async (format: string) => {
          if (format === 'raw') throw new Error('the store is away')
          return await disk.open(format)
        },
      }
      const { job, written } = pushJob({
        disk: broken,
        options: { file_formats: ['qcow2', 'raw'] },
        provider: shelf.provider,
        image: { id: crypto.randomUUID() },
      })
      await assert.rejects(async () => await target.push!(job), /the store is away/)
      assert.deepEqual(await target.clear!(written.held, shelf.provider, clearContext()), [])
      const files = await shelf.list()
      const others = files.filter((file) => !file.startsWith(`${kept.pushed.identifier}/`))
      assert.deepEqual(others, ['streams/v1/images.json', 'streams/v1/index.json'])
    })
  })

suite('the file target', () => {
  test('holes of a raw disk take no room in a directory', async () => {
    const shelf = await newDirectory()
    const { pushed } = await push(shelf, { file_formats: ['raw'] })
    const { directory } = shelf.provider.options
    const { blocks, size } = await stat(join(directory, pushed.identifier, 'disk.raw'))
    assert.ok(blocks * 512 < size / 4, `${blocks * 512} of ${size} bytes`)
  })

  test('only a provider of the configuration may name a directory', async () => {
    const { provider } = await newDirectory()
    const { job } = pushJob({ disk, options: {}, provider: { ...provider, isConfigured: false } })
    await assert.rejects(async () => await target.push!(job), failsWith('CONFIG_INVALID'))
  })

  test('no name leads out of its place', async () => {
    for (const file_version of ['..', '.', 'a/b', '../x', '-a', 'a..b', '.hidden', 'a\n', 'Ä'])
      assert.notDeepEqual(findFaults(target.options, { file_version }), [], file_version)
    assert.deepEqual(findFaults(target.options, { file_version: '2026.01-rc1' }), [])
    for (const path of ['/etc', 'images/../a/b/c/d', 'images/a/b/c/d', 'images/a/b/c/d/e/f', ''])
      assert.ok(!isVersionPath(path), path)
    const { provider } = await newDirectory()
    const image = factoryImage({ identifierOnProvider: '../../etc' })
    await assert.rejects(
      async () => await target.remove!(image, provider, clearContext()),
      failsWith('REQUEST_INVALID'),
    )
    assert.deepEqual(
      await target.clear!([{ kind: 'version', path: '../x' }], provider, clearContext()),
      [],
    )
  })
})

testCloudTargetContract('file', async () => {
  const { provider, list } = await newDirectory()
  return {
    target,
    options: { file_formats: ['qcow2', 'raw'] },
    wrongOptions: [{ file_version: '..' }, { file_formats: ['iso'] }, { more: 1 }],
    provider,
    listElsewhere: async () => (await list()).filter((file) => !file.startsWith('streams/')),
  }
})
