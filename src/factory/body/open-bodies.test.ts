import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { mkdir } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { validatorMap } from '../../app/builtin.ts'
import { runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import { buildJob } from '../../testing/build-job.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { factoryImage } from '../../testing/factory-image.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { bodyRecord, openTestBodies } from '../../testing/test-bodies.ts'
import { makeTinyImage } from '../../testing/tiny-image.ts'
import { parseIcicle } from '../documents.ts'
import { parseTemplate } from '../parse-template.ts'
import { openBodies } from './open-bodies.ts'
import { openBody } from './open-body.ts'
import { READ_LIMIT_MS } from './read-packages.ts'

const at = await tempDir()
const parts = await openTestBodies()
after(() => parts[Symbol.asyncDispose]())
await mkdir(at('work'))
const { catalog, context } = parts
const { signal } = context
const validators = validatorMap()
const bodiesParts = {
  ...parts,
  parseTemplate: async (given: { readonly text: string }) =>
    await parseTemplate(given, { validators, requireRootPassword: false }),
  workDirectory: at('work'),
  cacheDirectory: at('cache'),
  version: '1.2.3',
}
const bodies = openBodies({ ...bodiesParts, trustsImages: true })
const full =
  process.env['INGOT_TEST_FULL'] === '1' ? false : 'starts the appliance: INGOT_TEST_FULL=1'
await makeTinyImage(at('tiny.raw'))
const tiny = { path: at('tiny.raw'), format: 'raw' } as const
const notRoot = process.getuid?.() === 0 ? false : 'needs root: the sandbox mounts'

async function storeTiny(documents = {}) {
  const imageId = context.newId()
  const image = { id: imageId, builder: 'bootstrap', bodyId: imageId }
  await mkdir(at(imageId))
  const { job, written } = buildJob({ options: {}, workDir: at(imageId), image })
  const { requester } = bodyRecord(imageId)
  const { template } = job
  const order = {
    imageId,
    name: 'debian-12',
    ...tiny,
    requester,
    template,
    documents,
    job,
  }
  return { imageId, requester, job, written, facts: await bodies.store(order) }
}

async function readText(imageId: string, path: string): Promise<string | undefined> {
  await using body = await openBody(parts, imageId, signal)
  const options = {
    path: 'test',
    source: body.source,
    format: 'raw' as const,
    limitMs: READ_LIMIT_MS,
  }
  await using remote = await openReadImage(options, context)
  const content = await remote.readFile?.(path, MiB)
  return content && Buffer.from(content).toString()
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path)) yield chunk as Buffer
}

describe('bodies of factory images', () => {
  it('tell what is in a disk that was built: packages, bill of materials, manifest', async () => {
    const { imageId, facts } = await storeTiny()
    assert.equal(facts.bodyId, imageId)
    const names = parseIcicle(facts.documents.icicle ?? '').packages.map(({ name }) => name)
    assert.ok(
      names.includes('bash_5.2.15-2+b8_amd64') && !names.some((one) => one.startsWith('nano')),
    )
    const sbom = JSON.parse(facts.documents.sbom ?? '') as { packages: { name: string }[] }
    assert.equal(sbom.packages.length, names.length + 1)
    const manifest = JSON.parse(facts.documents.manifest ?? '') as Record<string, never>
    assert.partialDeepStrictEqual(manifest, {
      madeBy: 'bootstrap',
      image: { id: imageId, virtualSize: 48 * MiB },
      guest: { distro: 'debian', version: '12' },
    })
    const { properties } = (await catalog.get(imageId)) ?? {}
    assert.deepEqual(properties, {
      os_distro: 'debian',
      os_version: '12',
      architecture: properties?.['architecture'],
    })
  })

  it('do not open a disk of which the builder has told everything', async () => {
    const documents = { icicle: 'i', sbom: 's', manifest: 'm' }
    const { facts, imageId } = await storeTiny(documents)
    assert.deepEqual(facts.documents, documents)
    assert.equal(await catalog.readAttachment(imageId, 'facts'), undefined)
  })

  it('keep a disk that holds no system, and say why nothing is told of it', async () => {
    await runTool(['truncate', '-s', '2M', at('empty.raw')])
    const imageId = context.newId()
    const { job, written } = buildJob({ options: {}, workDir: at('work') })
    const { requester } = bodyRecord(imageId)
    const { template } = job
    const disk = { imageId, name: 'x', path: at('empty.raw'), format: 'raw' as const }
    const { documents } = await bodies.store({
      ...disk,
      requester,
      template,
      documents: {},
      job,
    })
    assert.deepEqual(Object.keys(documents), ['manifest'])
    assert.match(written.events.join('\n'), /what is in the disk is not told: /)
    assert.equal((await catalog.get(imageId))?.status, 'active')
  })

  it(
    'are changed by a recipe in a copy; without one nothing is made',
    { skip: notRoot },
    async () => {
      const { imageId: parentId, requester, job } = await storeTiny()
      const parent = factoryImage({ type: 'base', id: parentId, bodyId: parentId })
      const imageId = context.newId()
      const order = { imageId, parent, name: 'for-a-cloud', requester, job }
      assert.equal(await bodies.fit({ ...order, fit: () => undefined }), undefined)
      assert.equal(await catalog.get(imageId), undefined)

      const fitted = await bodies.fit({
        ...order,
        fit: ({ distro }) =>
          `name: fit\nvalidators:\n  - file: { path: /etc/cloud, content: "for ${distro}\\n" }\n`,
      })
      assert.equal(fitted?.bodyId, imageId)
      assert.equal(await readText(imageId, '/etc/cloud'), 'for debian\n')
      assert.equal(await readText(parentId, '/etc/cloud'), undefined)
      assert.match(fitted?.documents.report ?? '', /"changed"/)
      assert.partialDeepStrictEqual(JSON.parse(fitted?.documents.manifest ?? ''), {
        parent: parentId,
      })
      assert.deepEqual(await readdir(job.workDir), [])
    },
  )

  it('are fitted in the appliance where nobody vouches for them', { skip: full }, async () => {
    const { imageId: parentId, requester, job } = await storeTiny()
    const parent = factoryImage({ type: 'base', id: parentId, bodyId: parentId })
    const imageId = context.newId()
    const text = 'name: fit\nvalidators:\n  - file: { path: /etc/cloud, content: "fit" }\n'
    const order = { imageId, parent, name: 'x', requester, fit: () => text, job }
    const fitted = await openBodies(bodiesParts).fit(order)
    assert.match(fitted?.documents.report ?? '', /"via": "appliance"/)
    assert.equal(await readText(imageId, '/etc/cloud'), 'fit')
  })

  it('are not made by a recipe that fails; the report is kept', { skip: notRoot }, async () => {
    const { imageId: parentId, requester, job, written } = await storeTiny()
    const parent = factoryImage({ type: 'base', id: parentId, bodyId: parentId })
    const imageId = context.newId()
    const broken = 'name: bad\nvalidators:\n  - script: { broken: { inline: "echo no; exit 3" } }\n'
    const fitting = bodies.fit({ imageId, parent, name: 'x', requester, fit: () => broken, job })
    await assert.rejects(fitting, failsWith('STEP_FAILED', /^recipe bad: /))
    assert.equal(await catalog.get(imageId), undefined)
    assert.match(written.documents.get('report') ?? '', /"failed"/)
  })

  it('are had as the disk that is pushed', async () => {
    const { imageId } = await storeTiny()
    const image = factoryImage({ id: imageId, bodyId: imageId, name: 'debian-12' })
    await using disk = await bodies.openDisk(image, signal)
    assert.equal(disk.size, 48 * MiB)
    const none = factoryImage({ bodyId: null })
    await assert.rejects(bodies.openDisk(none, signal), failsWith('OBJECT_NOT_FOUND'))
  })
})

describe('an image that is imported', () => {
  const requester = { owner: 'p-alice', userId: 'alice', requestId: 'req-1' }
  const importFrom = async (content: AsyncIterable<Uint8Array>, name?: string) => {
    const imageId = context.newId()
    const order = { requester, content, parameters: {}, ...(name !== undefined && { name }) }
    return { imageId, importing: bodies.importImage(order, imageId, signal) }
  }

  for (const format of ['raw', 'qcow2', 'vmdk', 'vhdx', 'raw.gz'])
    it(`may be in any format, and says which system it is: ${format}`, async () => {
      const path = at(`import.${format}`)
      let content = chunksOf(path)
      if (format === 'raw.gz') {
        const packed = gzipSync(await readFile(tiny.path))
        content = (async function* () {
          yield packed
        })()
      } else await runTool(['qemu-img', 'convert', '-O', format, tiny.path, path])
      const { imageId, importing } = await importFrom(content)
      const imported = await importing
      const { name, documents, bodyId, template } = imported
      assert.equal(bodyId, imageId)
      assert.equal(name, 'debian-12')
      assert.match(documents.icicle ?? '', /name="bash_5\.2\.15-2\+b8_amd64"/)
      assert.match(documents.manifest ?? '', /"madeBy": "import"/)
      const image = await catalog.get(imageId)
      assert.equal(image?.diskFormat, 'raw')
      assert.equal(image?.size, 48 * MiB)
      const read = await parseTemplate(
        { text: template ?? '' },
        { validators, requireRootPassword: false },
      )
      assert.deepEqual(read.os, { name: 'Debian', version: '12', arch: 'x86_64' })
      assert.equal(read.name, 'debian-12')
    })

  it('leaves nothing when it holds no system, is none, or is unsafe', async () => {
    await runTool(['truncate', '-s', '2M', at('blank.raw')])
    const empty = await importFrom(chunksOf(at('blank.raw')), 'blank')
    await assert.rejects(empty.importing, failsWith('NO_OPERATING_SYSTEM'))
    assert.equal(await catalog.get(empty.imageId), undefined)

    await runTool([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      tiny.path,
      at('b.qcow2'),
    ])
    const unsafe = await importFrom(chunksOf(at('b.qcow2')))
    await assert.rejects(unsafe.importing, failsWith('IMAGE_UNSAFE'))
    assert.equal(await catalog.get(unsafe.imageId), undefined)
  })
})
