/**
 * Conversion: any image that can be read becomes a file of any format that can be viewed. The input is
 * inspected before anything else; then either its disk is read in place, or (compressed inputs, archives,
 * streams) it is imported into a raw working file first. The output's bytes are those of the view:
 * the same disk gives the same file, from whatever it was converted.
 */
import { randomUUID } from 'node:crypto'
import { createHash } from 'node:crypto'
import { mkdir, realpath, rm, stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { workingPath } from '../base/leftovers.ts'
import { loadFileCalls } from '../bytes/file-calls.ts'
import { sendPieces, type Sink } from '../bytes/send-pieces.ts'
import { digestSink, teeSink } from '../bytes/sinks.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import { writeWholeFile } from '../bytes/whole-file.ts'
import { type ClusterStore, makeClusterStore, openClusterStore } from './cluster-store.ts'
import type { ClusterCodec } from './cluster-index.ts'
import { DiskThreads } from './_disk-threads.ts'
import { type DiskMap, UNIT } from './disk-map.ts'
import { adoptDisk, type Golden, goldenOf } from './golden.ts'
import { imageFailure } from './_image-failure.ts'
import { importImage } from './import-image.ts'
import { inspectImage } from './inspect.ts'
import type { Disk } from './open-disk.ts'
import { type ImageFormat, IMAGE_FORMATS, openImage } from './open-image.ts'
import { readContentDigest } from './read-content-digest.ts'
import { openSparseWriter } from './sparse-writer.ts'
import type { View, ViewFormat } from './view.ts'
import { makeView, viewFormatOf } from './views.ts'
import { readVmdkDigest } from './vmdk-digest.ts'
import { writeView } from './_write-view.ts'

export interface ConvertOptions {
  /** A file, or content that comes as a stream. */
  readonly input: string | AsyncIterable<Uint8Array>
  /** What the input is; told from its content when left out. One of CLAIMS. */
  readonly inputFormat?: string | undefined
  /** A file, or where its bytes go in their order. */
  readonly output: string | Sink
  /** The format of the output: a name of `views.ts`. */
  readonly format: string
  /** Of compression, where the output is compressed. */
  readonly level?: number | undefined
  /** Where the map and compressed clusters of the input are kept for the next conversion. */
  readonly keep?: string | undefined
  /** Whether digests are computed: they cost more than the conversion. */
  readonly digest?: boolean | undefined
  /** For what a stream brings before its tables, and for a stream's disk. */
  readonly tempDir: string
}

export interface Converted {
  readonly inputFormat: string
  readonly format: string
  /** Bytes of the output, of the disk, and of the disk's units that hold data. */
  readonly size: number
  readonly virtualSize: number
  readonly dataSize: number
  /** See `Golden.identity`. */
  readonly identity: string
  /** Hexadecimal SHA-256 of the output's bytes, and the digest of the disk's content (`content-digest.ts`). */
  readonly sha256?: string
  readonly contentDigest?: string
}

/** A disk that can be converted, and what has to be closed and removed after it. */
interface OpenInput extends AsyncDisposable {
  readonly format: string
  readonly golden: Golden
  readonly file: Source
}

/**
 * Converts an image. The output is whole or not there at all; an older file of its name stays until it
 * is. Nothing else is left, however it ends.
 *
 * Fails with IMAGE_UNSAFE and the other refusals of an inspection (findings in `details.findings`),
 * IMAGE_NOT_FOUND, FORMAT_UNKNOWN, VIEW_IMPOSSIBLE, USAGE (input and output are the same file, level),
 * NO_SPACE, FILE_NOT_FOUND, FILE_UNREADABLE, IMAGE_TRUNCATED, INTERRUPTED; with what the sink throws.
 */
export async function convertImage(options: ConvertOptions, context: Context): Promise<Converted> {
  const format = viewFormatOf(options.format)
  const output =
    typeof options.output === 'string' ? await placeFor(options.output) : options.output
  if (typeof output === 'string' && typeof options.input === 'string')
    await refuseSame(options.input, output)
  await using threads = new DiskThreads(Math.min(availableParallelism(), 2))
  await using input = await openInput({ ...options, output }, threads, context)
  const { golden } = input
  await using store = await openStore(format, input, { ...options, output }, context)
  const origins = { disk: golden.disk, file: input.file, store: store?.payload }
  const parts = { map: golden.map, identity: golden.identity, clusters: store?.index }
  const vmdkDigest =
    format.usesVmdkDigest === true && store !== undefined
      ? await readVmdkDigest(parts, store.payload, context.signal)
      : undefined
  const view = makeView(format.name, { ...parts, vmdkDigest })
  const sha256 = await write(view, origins, { output, digest: options.digest }, threads, context)
  return {
    inputFormat: input.format,
    format: view.format,
    size: view.length,
    virtualSize: golden.map.size,
    dataSize: golden.map.dataUnits * UNIT,
    identity: golden.identity,
    ...(sha256 !== undefined && {
      sha256,
      contentDigest: await readContentDigest(golden.disk, golden.map, context),
    }),
  }
}

/** Where the output really goes: through links, and only in the place of a regular file. */
async function placeFor(path: string): Promise<string> {
  try {
    const real = await realpath(path)
    if ((await stat(real)).isFile()) return real
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return path
    throw asFileFailure(error, path)
  }
  throw new Failure('FILE_UNREADABLE', `${path} is no regular file`, {
    details: { path },
    fix: 'Name a file.',
  })
}

async function refuseSame(input: string, output: string): Promise<void> {
  const [from, to] = await Promise.all(
    [input, output].map(async (path) => await stat(path).catch(() => undefined)),
  )
  if (from && to && from.dev === to.dev && from.ino === to.ino)
    throw new Failure('USAGE', `${output} is the input itself; name another output`)
}

type Options = Omit<ConvertOptions, 'output'> & { readonly output: string | Sink }

/** Inspects the input and opens its disk, in place where that can be. */
async function openInput(
  options: Options,
  threads: DiskThreads,
  context: Context,
): Promise<OpenInput> {
  const { input, inputFormat: claim } = options
  if (typeof input !== 'string') return await importInput(input, 'the input', options, context)
  context.progress({ kind: 'phase', name: 'inspect', detail: input })
  const inspection = await inspectImage(input, { claim, spoolDirectory: options.tempDir }, context)
  if (!inspection.safe) throw imageFailure(input, inspection.findings)
  const format = readInPlace(inspection.format)
  if (format === undefined) return await importInput(input, input, options, context)
  const image = await openImage(input, { format })
  try {
    if (isPacked(image.disk)) {
      await image[Symbol.asyncDispose]()
      return await importInput(input, input, options, context)
    }
    const golden = await adoptDisk(image.disk, image.file, context, threads)
    const close = () => image[Symbol.asyncDispose]()
    return { format: inspection.format, golden, file: image.file, [Symbol.asyncDispose]: close }
  } catch (error) {
    await image[Symbol.asyncDispose]()
    throw error
  }
}

function readInPlace(format: string): ImageFormat | undefined {
  return format === 'iso' ? 'raw' : IMAGE_FORMATS.find((name) => name === format)
}

function isPacked(disk: Disk): boolean {
  for (const run of disk.runs(0, disk.size)) if (run.kind === 'packed') return true
  return false
}

/** Unpacks the input into a working file, and opens that. */
async function importInput(
  input: string | AsyncIterable<Uint8Array>,
  name: string,
  { inputFormat: claim, output, tempDir }: Options,
  context: Context,
): Promise<OpenInput> {
  context.progress({ kind: 'phase', name: 'import', detail: name })
  const path =
    typeof output === 'string'
      ? workingPath(output, 'import')
      : join(tempDir, `ingot-${process.pid}-${randomUUID()}`)
  const writer = await openSparseWriter(path, { sync: false })
  const imported = await importImage(
    input,
    { name, claim, writer, digest: false, spoolDirectory: tempDir },
    context,
  )
  try {
    const file = await openFileSource(path)
    const golden = await goldenOf(file, imported.map)
    return {
      format: imported.format,
      golden,
      file,
      [Symbol.asyncDispose]: async () => {
        await file[Symbol.asyncDispose]()
        await rm(path, { force: true })
      },
    }
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** The compressed clusters, if the format needs them: kept ones, or made now. */
async function openStore(
  { needs, smallestOf }: ViewFormat,
  { golden: { disk, map } }: OpenInput,
  { keep, level, output, tempDir }: Options,
  context: Context,
): Promise<ClusterStore | undefined> {
  if (needs === 'map') return undefined
  if (keep !== undefined) {
    const content = await readContentDigest(disk, map, context) // the identity is too weak for that
    const path = join(keep, `${content}-${level ?? 'default'}.${needs}`)
    const kept = await openKept(path, needs, map)
    if (kept) return kept
    await mkdir(keep, { recursive: true })
    return await makeStore(path, codecOf(needs), false)
  }
  const beside = typeof output === 'string' ? workingPath(output, needs) : undefined
  const path = beside ?? join(tempDir, `ingot-${process.pid}-${randomUUID()}`)
  return await makeStore(path, smallestOf ?? codecOf(needs), true)

  async function makeStore(
    path: string,
    codec: ClusterCodec,
    isTemporary: boolean,
  ): Promise<ClusterStore> {
    context.progress({ kind: 'phase', name: 'compress' })
    const store = await makeClusterStore({ disk, map, codec, level, path }, context)
    if (isTemporary) await rm(path) // it stays readable while it is open
    return store
  }
}

function codecOf(needs: ViewFormat['needs']): ClusterCodec {
  return needs === 'zstd' ? 'zstd' : 'deflate'
}

async function openKept(
  path: string,
  codec: string,
  map: DiskMap,
): Promise<ClusterStore | undefined> {
  try {
    const store = await openClusterStore(path)
    if (store.index.codec === codec && store.index.map.digest === map.digest) return store
    await store[Symbol.asyncDispose]()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
  }
  return undefined
}

/** Writes the output; its SHA-256 when that is wanted. */
async function write(
  view: View,
  origins: { disk: Source; file: Source; store: Source | undefined },
  { output, digest }: { output: string | Sink; digest: boolean | undefined },
  threads: DiskThreads,
  context: Context,
): Promise<string | undefined> {
  context.progress({ kind: 'phase', name: 'write', detail: view.format })
  const hash = digest ? createHash('sha256') : undefined
  const sources = { disk: origins.disk, ...(origins.store && { store: origins.store }) }
  const { signal } = context
  if (typeof output !== 'string') {
    const sink = hash ? teeSink(output, digestSink(hash)) : output
    await sendPieces(view.pieces(0, view.length), sources, sink, { signal })
    return hash?.digest('hex')
  }
  await writeWholeFile(
    output,
    'convert',
    async (file) => {
      const calls = await loadFileCalls()
      await writeView(view, origins, { file, name: output }, { threads, calls }, context)
      if (hash) await sendPieces(view.pieces(0, view.length), sources, digestSink(hash), { signal })
    },
    { sync: false },
  )
  return hash?.digest('hex')
}
