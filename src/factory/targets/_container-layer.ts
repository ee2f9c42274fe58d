/** The one layer of a container image: a guest's files, or its disk for KubeVirt. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { type Packing, writePackedFile } from '../../bytes/packed-file.ts'
import { openFileSource } from '../../bytes/source.ts'
import { contentOf, readTreeArchive, type StoredMember } from '../../formats/read-tree-archive.ts'
import type { TreeMember } from '../../formats/tree-archive.ts'
import { TreeArchiveWriter } from '../../formats/write-tree-archive.ts'
import type { PushJob } from '../cloud-target.ts'
import { leaveOut, pickMembers } from './_container-members.ts'
import type { ContainerOptions } from './_container-schemas.ts'
import { withGuestFiles } from './_guest-files.ts'
import { packedStream } from './_packed-stream.ts'
import { tarBytes, tarDisk, tarStream } from './_tar-stream.ts'

export type LayerPacking = 'none' | 'gzip' | 'zstd'

export interface Layer {
  /** Of the bytes as they are sent; hexadecimal SHA-256. */
  readonly digest: string
  readonly size: number
  readonly packing: LayerPacking
  /** Of the tar archive itself: what Docker calls a diff id. */
  readonly diffDigest: string
  /** When it was made: seconds since 1970. */
  readonly createdAt: number
  /** By Go's name; undefined: nobody can tell. */
  readonly architecture: string | undefined
  stream(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export type ContainerJob = Omit<PushJob<ContainerOptions>, 'provider'>

/** QEMU's user and group in KubeVirt's containers. Source: KubeVirt, "containerDisk". */
const QEMU = 107

/** Files of a guest's root, in an archive in the job's directory: what it costs is known before it is sent. */
export async function makeRootLayer(
  job: ContainerJob,
  packing: LayerPacking,
  signal: AbortSignal,
): Promise<Layer> {
  const { workDir, options, log } = job
  const root = join(workDir, 'root.tar')
  const path = join(workDir, 'layer.tar')
  const guest = { ...job, context: { ...job.context, signal } }
  const architecture = await withGuestFiles(guest, async (remote) => {
    await rm(root, { force: true })
    await remote.archive(root)
    return (await remote.facts()).architecture
  })
  try {
    await using source = await openFileSource(root)
    const { members, left } = pickMembers(
      await readTreeArchive(source),
      leaveOut(options.tar_excludes),
    )
    if (left > 0) log.event(`${left} files are left out of the container image`)
    const createdAt = createdAtOf(members, options.container_created)
    const hash = createHash('sha256')
    await writePackedFile(
      path,
      PACKINGS[packing],
      async (put) => {
        const archive = new TreeArchiveWriter(async (bytes) => {
          hash.update(bytes)
          await put(bytes)
        })
        for (const member of members)
          await archive.add(
            { ...whole(member), mtime: Math.min(Math.max(member.mtime, 0), createdAt) },
            contentOf(source, member),
          )
        await archive.end()
      },
      signal,
    )
    const facts = { packing, createdAt, architecture, diffDigest: hash.digest('hex') }
    return await fileLayer(path, facts)
  } finally {
    await rm(root, { force: true })
  }
}

const PACKINGS: Readonly<Record<LayerPacking, Packing>> = { none: 'none', gzip: 'gz', zstd: 'zst' }

/** Holes of files that are small enough are written out: not every reader of layers knows sparse files. */
const MOST_HOLES = 64 * MiB

function whole(member: StoredMember): TreeMember {
  const { node } = member
  if (node.type !== 'file') return member
  const data = node.data.reduce((sum, { length }) => sum + length, 0)
  if (node.size === 0 || node.size - data > MOST_HOLES) return member
  return { ...member, node: { ...node, data: [{ offset: 0, length: node.size }] } }
}

function createdAtOf(members: readonly StoredMember[], given: string | undefined): number {
  if (given !== undefined) return Math.floor(Date.parse(given) / 1000)
  const most = 8_640_000_000_000 // the last second that a Date knows
  const times = members.map(({ mtime }) => mtime).filter((mtime) => mtime <= most)
  return times.reduce((newest, mtime) => Math.max(newest, mtime), 0)
}

/** The guest's disk as KubeVirt wants it: told while it is read, so it is read once more to know its digest. */
export async function makeDiskLayer(
  job: ContainerJob,
  packing: LayerPacking,
  signal: AbortSignal,
): Promise<Layer> {
  const { options, disk, workDir, template } = job
  const format = options.container_disk_format ?? 'qcow2'
  const formatted = await disk.open(format)
  const name = `disk/disk.${format === 'raw' ? 'img' : 'qcow2'}`
  const files = [
    { ...tarBytes('disk/', ''), owner: QEMU, mode: 0o555 },
    { ...tarDisk(name, formatted), owner: QEMU, mode: 0o440 },
  ]
  const createdAt = createdAtOf([], options.container_created)
  const facts = { createdAt, architecture: template.os?.arch }
  if (packing === 'none') {
    const { digest, size } = await digestOf(tarStream(files, signal))
    const stream = (until: AbortSignal) => tarStream(files, until)
    const architecture = goArchitecture(facts.architecture)
    return { digest, diffDigest: digest, size, packing, createdAt, architecture, stream }
  }
  const hash = createHash('sha256')
  const path = join(workDir, 'layer.tar')
  const packed = packedStream(hashed(tarStream(files, signal), hash), packing, signal)
  const fill = async (put: (bytes: Uint8Array) => Promise<void>) => {
    for await (const chunk of packed) await put(chunk)
  }
  await writePackedFile(path, 'none', fill, signal)
  return await fileLayer(path, { ...facts, packing, diffDigest: hash.digest('hex') })
}

async function* hashed(content: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    hash.update(chunk)
    yield chunk
  }
}

async function fileLayer(
  path: string,
  facts: Pick<Layer, 'packing' | 'createdAt' | 'diffDigest' | 'architecture'>,
): Promise<Layer> {
  const open = () => createReadStream(path, { highWaterMark: MiB })
  const { digest, size } = await digestOf(open())
  if ((await stat(path)).size !== size) throw new Error(`${path} changed while it was read`)
  return {
    ...facts,
    digest,
    size,
    architecture: goArchitecture(facts.architecture),
    stream: (signal) => untilAborted(open(), signal),
  }
}

async function digestOf(content: AsyncIterable<Uint8Array>) {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of content) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: hash.digest('hex'), size }
}

async function* untilAborted(
  content: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    if (signal.aborted) throw new Failure('INTERRUPTED', 'sending a layer was interrupted')
    yield chunk
  }
}

/** Source: Go, GOARCH, as the OCI image specification has it. */
const GO: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  i386: '386',
  i686: '386',
}

function goArchitecture(name: string | undefined): string | undefined {
  return name === undefined || name === '' ? undefined : (GO[name] ?? name)
}
