/**
 * Import: an image of any format, as it comes in, made into a raw sparse disk in one pass. The stream
 * goes through the same inspection that judges images which are only looked at; what the parser finds
 * of the guest's disk goes straight to the writer. So nothing is stored twice, nothing unsafe is kept,
 * and when the last byte is in, the disk is done, with its map and the digests of what came.
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { formatSize, MiB } from '../base/units.ts'
import { HashThread } from '../bytes/hash-thread.ts'
import { openFileSource, readInto } from '../bytes/source.ts'
import type { DiskMap } from './disk-map.ts'
import type { Finding } from './finding.ts'
import { GuestWriter } from './_guest-writer.ts'
import { imageFailure } from './_image-failure.ts'
import { StreamInspection } from './_inspect-stream.ts'
import { type InspectOptions, makeJob } from './inspect.ts'
import type { SparseWriter } from './sparse-writer.ts'

/** Bytes read of a file at once. */
const READ = 1 * MiB

export interface ImportOptions extends InspectOptions {
  /** What failures call the image. */
  readonly name: string
  /** Where the disk goes. It is finished, or discarded, here. */
  readonly writer: SparseWriter
  /** Whether SHA-256 of the source is computed. Default yes. */
  readonly digest?: boolean | undefined
}

/** What was imported. */
export interface ImportedDisk {
  /** What came: `qcow2`, `raw.gz`. */
  readonly format: string
  readonly virtualSize: number
  readonly map: DiskMap
  /** Bytes that came, and their SHA-256 (hexadecimal) if it was asked for. */
  readonly sourceSize: number
  readonly sourceDigest: string | undefined
  /** See `content-digest.ts`; undefined unless the writer computes it. */
  readonly contentDigest: string | undefined
  /** What was found; nothing among it is a reason to refuse the image. */
  readonly findings: readonly Finding[]
  /** Bytes that had to be put aside because their tables came later. */
  readonly spooled: number
}

/**
 * Imports an image from a file or from a stream, which may reuse a chunk when it is asked for the next.
 * Of what is refused, of what ends too early, and when the signal says stop, nothing is left.
 *
 * Fails with IMAGE_UNSAFE, IMAGE_DIRTY, IMAGE_TRUNCATED, IMAGE_UNREADABLE, FILE_SYSTEM_ENCRYPTED (all
 * findings in `details.findings`), FORMAT_UNKNOWN (no such claim), NO_SPACE, FILE_NOT_FOUND,
 * FILE_UNREADABLE, TOOL_MISSING, INTERRUPTED; and with whatever the stream fails with.
 */
export async function importImage(
  input: string | AsyncIterable<Uint8Array>,
  options: ImportOptions,
  context: Context,
): Promise<ImportedDisk> {
  const { writer, name } = options
  await using discarded = { [Symbol.asyncDispose]: () => writer.discard() }
  void discarded
  await using guest = new GuestWriter(writer)
  await using hash = options.digest === false ? undefined : new HashThread()
  const job = { ...makeJob(options, context), deadline: Infinity, guest }
  await using inspection = new StreamInspection({
    ...job,
    limits: { ...job.limits, timeMs: Infinity },
  })
  let size = 0
  for await (const chunk of typeof input === 'string' ? readFile(input) : input) {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', `importing ${name} was interrupted`)
    size += chunk.length
    await hash?.write(chunk)
    await inspection.push(chunk)
    context.progress({ kind: 'bytes', name: 'import', done: size })
    if (inspection.decided) break
  }
  const { format, virtualSize, spooled = 0 } = await inspection.end()
  const findings = job.findings.all
  if (job.findings.refused) throw imageFailure(name, findings)
  if (virtualSize === undefined)
    throw new Failure('IMAGE_UNREADABLE', `${name} is ${format}, which holds no disk`)
  await guest.end()
  const sourceDigest = hash?.end() ?? Promise.resolve(undefined)
  sourceDigest.catch(() => {}) // told below, unless finishing fails first
  const { map, contentDigest } = await writer.finish(virtualSize)
  if (spooled > 0) context.log.info('import.spooled', { name, size: formatSize(spooled) })
  return {
    format,
    virtualSize,
    map,
    sourceSize: size,
    sourceDigest: await sourceDigest,
    contentDigest,
    findings,
    spooled,
  }
}

/** A file as a stream, with the next read under way while the last one is worked on. */
async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  await using file = await openFileSource(path)
  const buffers = [Buffer.allocUnsafeSlow(READ), Buffer.allocUnsafeSlow(READ)]
  const readAt = async (at: number) => {
    const buffer =
      buffers[(at / READ) % 2]?.subarray(0, Math.max(0, file.size - at)) ?? Buffer.alloc(0)
    await readInto(file, buffer, at)
    return buffer
  }
  let next = readAt(0)
  for (let at = 0; at < file.size; at += READ) {
    const chunk = await next
    next = at + READ < file.size ? readAt(at + READ) : Promise.resolve(chunk)
    next.catch(() => {}) // told when it is its turn
    yield chunk
  }
}
