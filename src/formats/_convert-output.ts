/** Turns an open disk into the output: its view, its clusters where it is compressed, its digests. */
import { createHash } from 'node:crypto'
import { realpath, stat } from 'node:fs/promises'
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
import type { View } from './view.ts'
import { makeView } from './views.ts'
import { writeView } from './_write-view.ts'

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

/**
 * Writes the output. `accepted` tells what the input is, and fails if it may not be converted: nothing
 * leaves a working file before that.
 */
export async function writeOutput(
  input: OpenInput,
  accepted: () => Promise<string>,
  job: ConvertJob,
  context: Context,
): Promise<Converted> {
  const { golden } = input
  const { format, output } = job
  if (typeof output !== 'string' || format.needs !== 'map') await accepted()
  await using store = await openStore(input, job, context)
  const origins = { disk: golden.disk, file: input.file, store: store?.payload }
  const view = await makeViewOf(input, store, job, context)
  const sha256 = await write(view, origins, accepted, job, context)
  return {
    inputFormat: await accepted(),
    format: view.format,
    size: view.length,
    virtualSize: golden.map.size,
    dataSize: golden.map.dataUnits * UNIT,
    identity: golden.identity,
    ...(sha256 !== undefined && { sha256, contentDigest: await digestOf(input, context) }),
  }
}

type Store = Awaited<ReturnType<typeof openStore>>

async function openStore(input: OpenInput, job: ConvertJob, context: Context) {
  const { needs } = job.format
  if (needs === 'map') return undefined
  const { openClusters } = await import('./_convert-clusters.ts')
  return await openClusters(needs, input, job, context)
}

async function makeViewOf(
  { golden: { map, identity } }: OpenInput,
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

async function digestOf({ golden, kept }: OpenInput, context: Context): Promise<string> {
  if (kept?.known?.contentDigest !== undefined) return kept.known.contentDigest
  const { readContentDigest } = await import('./read-content-digest.ts')
  const contentDigest = await readContentDigest(golden.disk, golden.map, context)
  await kept?.keep({ ...golden, contentDigest })
  return contentDigest
}

/** Writes the bytes of a view; their SHA-256 when that is wanted. */
async function write(
  view: View,
  origins: { disk: OpenInput['golden']['disk']; file: Source; store: Source | undefined },
  accepted: () => Promise<string>,
  { output, digest }: { output: string | Sink; digest?: boolean | undefined },
  context: Context,
): Promise<string | undefined> {
  const { signal } = context
  context.progress({ kind: 'phase', name: 'write', detail: view.format })
  const hash = digest ? createHash('sha256') : undefined
  const sources = { disk: origins.disk, ...(origins.store && { store: origins.store }) }
  if (typeof output !== 'string') {
    const sink = hash ? teeSink(output, digestSink(hash)) : output
    await sendPieces(view.pieces(0, view.length), sources, sink, { signal })
    return hash?.digest('hex')
  }
  await writeWholeFile(
    output,
    'convert',
    async (file) => {
      await writeView(view, origins, { file, name: output }, await loadFileCalls(), context)
      if (hash) await sendPieces(view.pieces(0, view.length), sources, digestSink(hash), { signal })
      await accepted()
    },
    { sync: false },
  )
  return hash?.digest('hex')
}
