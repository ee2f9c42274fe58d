import { createHash, type Hash } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { incusMetadata } from '../../guests/container-metadata.ts'
import { viewFormatOf } from '../../formats/views.ts'
import {
  defineCloudTarget,
  type FormattedDisk,
  type Pushed,
  type PushJob,
} from '../cloud-target.ts'
import type { DocumentKind } from '../factory-image.ts'
import { streamFormatted } from '../stream-formatted.ts'
import { clearEach, fieldsOf } from './_clear-each.ts'
import {
  addVersion,
  isVersionPath,
  pathOf,
  readRecord,
  removeVersion,
  type VersionRecord,
} from './_file-index.ts'
import { openPlace, type Place } from './_file-place.ts'
import {
  type FileCredentials,
  fileCredentialsSchema,
  type FileOptions,
  fileOptionsSchema,
  type FileProviderOptions,
  fileProviderSchema,
} from './_file-schemas.ts'
import { packedStream } from './_packed-stream.ts'
import { tarBytes, tarStream } from './_tar-stream.ts'

type FileJob = PushJob<FileOptions, FileProviderOptions, FileCredentials>
type Item = VersionRecord['items'][number]

/** The image as files with check sums, in a directory or a bucket that Incus and others can read as an image server. */
export const fileTarget = defineCloudTarget<FileOptions, FileProviderOptions, FileCredentials>({
  name: 'file',
  summary: 'files: a directory or a bucket, with check sums and a simplestreams index',
  options: fileOptionsSchema,
  provider: { options: fileProviderSchema, credentials: fileCredentialsSchema },
  format: ({ file_formats: [format] = ['qcow2'] }) => format ?? 'qcow2',
  push,
  remove: async ({ identifierOnProvider: path }, provider, context) => {
    if (path === null) return
    await using place = await openPlace(provider, context)
    await removeVersion(place, path)
  },
  clear: async (things, provider, context) => {
    await using place = await openPlace(provider, context)
    return await clearEach(things, context, async (thing) => {
      const { path } = fieldsOf(thing)
      if (typeof path === 'string' && isVersionPath(path)) await removeVersion(place, path)
    })
  },
})

async function push(job: FileJob): Promise<Pushed> {
  const { options, provider, context } = job
  await using place = await openPlace(provider, context)
  const described = describe(job)
  const path = pathOf(described)
  const there = await readRecord(place, path)
  if (there !== undefined && there.imageId !== job.image.id)
    throw new Failure('CLOUD_FAILED', `${path} is there already, of image ${there.imageId}`, {
      fix: 'Name another file_version, or remove that one.',
    })
  await job.holdings.add({ kind: 'version', path })
  const formats = [...new Set(options.file_formats ?? ['qcow2'])]
  const metadata = formats.includes('qcow2') ? await incusFile(job, described) : undefined
  const items: Item[] = []
  for (const [index, format] of formats.entries()) {
    const share = 90 / formats.length
    const phase = { name: `writing ${format}`, from: index * share, to: (index + 1) * share }
    items.push(
      ...(await job.phase(phase, async (scene) => {
        const disk = await job.disk.open(format)
        const name = `${options.file_name ?? 'disk'}${endingOf(format, formats)}`
        const behind = format === 'qcow2' ? metadata : undefined
        return await writeDisk({ place, path, name, format }, disk, behind, scene)
      })),
    )
  }
  await job.phase({ name: 'writing documents', from: 90, to: 95 }, async () => {
    for (const [kind, name] of DOCUMENTS) {
      const bytes = await job.readDocument?.(kind)
      if (bytes !== undefined)
        items.push(await writeBytes(place, path, { name, type: kind }, bytes))
    }
    const sums = items.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')
    await writeBytes(place, path, { name: 'SHA256SUMS', type: 'sums' }, Buffer.from(sums))
  })
  await job.phase({ name: 'writing the index', from: 95, to: 100 }, async () => {
    await addVersion(place, { ...described, items })
    job.log.event(`${path} in ${place.name}`)
  })
  return { identifier: path, properties: { path, files: items.map(({ name }) => name) } }
}

const DOCUMENTS: readonly (readonly [DocumentKind, string])[] = [
  ['manifest', 'manifest.json'],
  ['sbom', 'sbom.spdx.json'],
  ['icicle', 'packages.icicle.xml'],
]

/** Two formats with one ending, such as vhd and vhd-fixed, are told apart by their names. */
function endingOf(format: string, all: readonly string[]): string {
  const ending = viewFormatOf(format).endings[0] ?? format
  const isAlone = all.filter((one) => viewFormatOf(one).endings[0] === ending).length === 1
  return isAlone || format === ending ? `.${ending}` : `-${format}.${ending}`
}

/** By when the image was ordered and its id: a push that is begun anew writes the same version. */
function describe({ image, options, template, context }: FileJob): Omit<VersionRecord, 'items'> {
  const { name = 'linux', version = 'current', arch = 'x86_64' } = template.os ?? {}
  const time = image.createdAt.toISOString().replaceAll(/[-:]/g, '').slice(0, 15).replace('T', '_')
  const os = options.file_os ?? plain(name)
  const release = options.file_release ?? plain(version)
  const variant = options.file_variant ?? 'default'
  const alias = options.file_alias
  return {
    imageId: image.id,
    os,
    release,
    arch: ARCHITECTURES[arch] ?? plain(arch),
    variant,
    version: options.file_version ?? `${time}-${plain(image.id).slice(0, 8)}`,
    title: `${name} ${version}`.slice(0, 255),
    aliases: [
      variant === 'default' ? `${os}/${release}` : `${os}/${release}/${variant}`,
      ...(alias === undefined ? [] : [alias]),
    ],
    createdAt: context.now().toISOString(),
  }
}

/** Debian's names, which simplestreams goes by. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'armhf',
  ppc64le: 'ppc64el',
}

/** A name for a path, out of any. */
function plain(name: string): string {
  const found = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return found.slice(0, 60).replace(/-+$/, '') || 'unknown'
}

interface DiskPlace {
  readonly place: Place
  readonly path: string
  readonly name: string
  readonly format: string
}

/** The disk; and with metadata, what makes it an image of a virtual machine for Incus. */
async function writeDisk(
  { place, path, name, format }: DiskPlace,
  disk: FormattedDisk,
  metadata: Buffer | undefined,
  { signal, tell }: { readonly signal: AbortSignal; readonly tell: (fraction: number) => void },
): Promise<Item[]> {
  const own = createHash('sha256')
  const combined = metadata && createHash('sha256').update(metadata)
  const hashes = combined === undefined ? [own] : [own, combined]
  await place.write(
    `${path}/${name}`,
    hashing(streamFormatted(disk, signal, tell), hashes),
    disk.size,
  )
  const type = format === 'qcow2' ? 'disk-kvm.img' : format
  const item = { name, type, size: disk.size, sha256: own.digest('hex') }
  if (metadata === undefined || combined === undefined) return [item]
  const beside = await writeBytes(place, path, { name: INCUS, type: INCUS }, metadata)
  return [{ ...beside, combined: { type, sha256: combined.digest('hex') } }, item]
}

async function* hashing(
  content: AsyncIterable<Uint8Array>,
  hashes: readonly Hash[],
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    for (const hash of hashes) hash.update(chunk)
    yield chunk
  }
}

const INCUS = 'incus.tar.xz'

/** Source: Incus, "Image format", split images. */
async function incusFile(
  { template, context }: FileJob,
  { os, release, createdAt }: Omit<VersionRecord, 'items'>,
): Promise<Buffer> {
  const files = incusMetadata({
    guest: {
      distro: os,
      family: undefined,
      version: release,
      codename: '',
      prettyName: `${os} ${release}`,
      architecture: template.os?.arch ?? 'x86_64',
    },
    madeAt: Math.floor(Date.parse(createdAt) / 1000),
    devices: [],
  })
  const members = Object.entries(files).map(([name, text]) => tarBytes(name, text))
  const chunks: Uint8Array[] = []
  const { signal } = context
  for await (const chunk of packedStream(tarStream(members, signal), 'xz', signal))
    chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function writeBytes(
  place: Place,
  path: string,
  { name, type }: { readonly name: string; readonly type: string },
  bytes: Uint8Array,
): Promise<Item> {
  const content = (async function* () {
    yield bytes
  })()
  await place.write(`${path}/${name}`, content, bytes.length)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { name, type, size: bytes.length, sha256 }
}
