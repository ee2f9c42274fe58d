/** Turns an open disk into the output: its view, its clusters where it is compressed, its digests. */
import { createHash } from 'node:crypto'
import { type FileHandle, realpath, stat } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { loadFileCalls } from '../bytes/file-calls.ts'
import { sendPieces, type Sink } from '../bytes/send-pieces.ts'
import { digestSink, teeSink } from '../bytes/sinks.ts'
import type { Source } from '../bytes/source.ts'
import { writeWholeFile } from '../bytes/whole-file.ts'
import type { OpenInput } from './_convert-input.ts'
import type { Converted, ConvertJob } from './convert-image.ts'
import { UNIT } from './disk-map.ts'
import type { Golden } from './golden.ts'
import type { View } from './view.ts'
import { makeView } from './views.ts'
import { WriteAhead } from './_write-ahead.ts'
import { isCopied, makeParts, writeCopied, writeSent } from './_write-view.ts'

/** Where the output really goes: through links, and only in the place of a regular file. */
export async function placeFor(path: string): Promise<string> {
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

/** Fails with USAGE. */
export async function refuseSame(input: string, output: string): Promise<void> {
  const [from, to] = await Promise.all(
    [input, output].map(async (path) => await stat(path).catch(() => undefined)),
  )
  if (from && to && from.dev === to.dev && from.ino === to.ino)
    throw new Failure('USAGE', `${output} is the input itself; name another output`)
}

/** An input of which it is known what it holds. */
export interface AdoptedInput extends Pick<OpenInput, 'kept'> {
  readonly golden: Golden
}

/** What was written. */
interface Written {
  readonly golden: Golden
  readonly view: View
  readonly sha256: string | undefined
}

/** Tells what the input is; fails if it may not be converted. */
type Accepted = () => Promise<string>

/**
 * Writes the output. Nothing of it leaves a working file before the input is accepted. Fails as
 * `convertImage` does.
 */
export async function writeOutput(
  input: OpenInput,
  accepted: Accepted,
  job: ConvertJob,
  context: Context,
): Promise<Converted> {
  const { output } = job
  const isEarly = typeof output === 'string' && job.format.needs === 'map'
  const { golden, view, sha256 } = isEarly
    ? await writeEarly(input, accepted, { ...job, output }, context)
    : await writeAccepted(input, accepted, job, context)
  return {
    inputFormat: await accepted(),
    format: view.format,
    size: view.length,
    virtualSize: golden.map.size,
    dataSize: golden.map.dataUnits * UNIT,
    identity: golden.identity,
    ...(sha256 !== undefined && {
      sha256,
      contentDigest: await digestOf({ golden, kept: input.kept }, context),
    }),
  }
}

/** Writes a file of a format that needs the map alone, while the disk is still being looked at. */
async function writeEarly(
  input: OpenInput,
  accepted: Accepted,
  { format, output, digest }: ConvertJob & { readonly output: string },
  context: Context,
): Promise<Written> {
  const { signal, progress } = context
  progress({ kind: 'phase', name: 'write', detail: format.name })
  const calls = await loadFileCalls()
  const fill = async (file: FileHandle): Promise<Written> => {
    const parts = makeParts(input, { descriptor: file.fd, name: output }, { calls, signal })
    const ahead = isCopied(input) ? new WriteAhead(format.name, input, { file, parts }) : undefined
    try {
      const golden = await input.adopt(ahead)
      const { map, identity } = golden
      const view = makeView(format.name, { map, identity })
      if (ahead) await writeCopied(view, input, { file, parts }, await ahead.end(map), progress)
      else await writeSent(view, input, file, context)
      const sha256 = digest ? await digestOfView(view, golden.disk, signal) : undefined
      await accepted()
      return { golden, view, sha256 }
    } finally {
      await ahead?.settle()
    }
  }
  return await writeWholeFile(output, 'convert', fill, { sync: false })
}

async function digestOfView(view: View, disk: Source, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  await sendPieces(view.pieces(0, view.length), { disk }, digestSink(hash), { signal })
  return hash.digest('hex')
}

/** Writes any other output: what is compressed, and what cannot be taken back. */
async function writeAccepted(
  input: OpenInput,
  accepted: Accepted,
  job: ConvertJob,
  context: Context,
): Promise<Written> {
  await accepted()
  const { output, digest } = job
  const golden = await input.adopt()
  await using store = await openStore({ golden, kept: input.kept }, job, context)
  const view = await makeViewOf(golden, store, job, context)
  context.progress({ kind: 'phase', name: 'write', detail: view.format })
  const hash = digest ? createHash('sha256') : undefined
  const sources = { disk: golden.disk, ...(store && { store: store.payload }) }
  const send = async (sink: Sink) => {
    const { signal } = context
    await sendPieces(view.pieces(0, view.length), sources, sink, { signal })
  }
  if (typeof output === 'string') {
    const origins = { disk: golden.disk, file: input.file, store: store?.payload }
    const fill = async (file: FileHandle) => {
      await writeSent(view, origins, file, context)
      if (hash) await send(digestSink(hash))
    }
    await writeWholeFile(output, 'convert', fill, { sync: false })
  } else await send(hash ? teeSink(output, digestSink(hash)) : output)
  return { golden, view, sha256: hash?.digest('hex') }
}

type Store = Awaited<ReturnType<typeof openStore>>

async function openStore(input: AdoptedInput, job: ConvertJob, context: Context) {
  const { needs } = job.format
  if (needs === 'map') return undefined
  const { openClusters } = await import('./_convert-clusters.ts')
  return await openClusters(needs, input, job, context)
}

async function makeViewOf(
  { map, identity }: Golden,
  store: Store,
  { format }: ConvertJob,
  { signal }: Context,
): Promise<View> {
  const parts = { map, identity, clusters: store?.index }
  if (format.usesVmdkDigest !== true || store === undefined) return makeView(format.name, parts)
  const { readVmdkDigest } = await import('./vmdk-digest.ts')
  const vmdkDigest = await readVmdkDigest(parts, store.payload, signal)
  return makeView(format.name, { ...parts, vmdkDigest })
}

async function digestOf({ golden, kept }: AdoptedInput, context: Context): Promise<string> {
  if (kept?.known?.contentDigest !== undefined) return kept.known.contentDigest
  const { readContentDigest } = await import('./read-content-digest.ts')
  const contentDigest = await readContentDigest(golden.disk, golden.map, context)
  await kept?.keep({ ...golden, contentDigest })
  return contentDigest
}
