/**
 * Import: an image of any format, as it comes in, made into a raw sparse disk in one pass. The stream
 * goes through the same inspection that judges images which are only looked at; what the parser finds
 * of the guest's disk goes straight to the writer. So nothing is stored twice, nothing unsafe is kept,
 * and when the last byte is in, the disk is done, with its map and the digests of what came.
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { formatSize } from '../base/units.ts'
import { BLOCK, DigestRing, DigestThreads } from '../bytes/digest-threads.ts'
import { blocksOf } from '../bytes/blocks.ts'
import { openFileSource, readInto } from '../bytes/source.ts'
import type { DiskMap } from './disk-map.ts'
import type { Finding } from './finding.ts'
import { GuestWriter } from './_guest-writer.ts'
import { imageFailure } from './image-failure.ts'
import { StreamInspection } from './_inspect-stream.ts'
import { type InspectOptions, makeJob } from './inspect.ts'

/** Blocks of a file that are read while one is worked on. */
const AHEAD = 2

/** Where a guest's disk goes: a `SparseWriter`, an object of a store. What is never written is zeros. */
export interface DiskTarget {
  /** Writes a part of the disk, in any order; one at a time. `bytes` are the target's until it is done. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Gives the disk its size, and makes it stand for good. */
  finish(size: number): Promise<{
    readonly map: DiskMap
    readonly contentDigest?: string | undefined
  }>
  /** Gives up, and leaves nothing; after `finish` it does nothing. */
  discard(): Promise<void>
}

export interface ImportOptions extends InspectOptions {
  /** What failures call the image. */
  readonly name: string
  /** Where the disk goes. It is finished, or discarded, here. */
  readonly writer: DiskTarget
  /** Whether SHA-256 of the source is computed. Default yes. */
  readonly digest?: boolean | undefined
  /** Threads that digest, if there are some already. */
  readonly digests?: DigestThreads | undefined
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
  await using own = new DigestThreads(1) // none is started unless it is used
  await using ring = (options.digests ?? own).ring(options.digest === false ? [] : ['sha256'])
  await using guest = new GuestWriter(writer)
  const job = { ...makeJob(options, context), deadline: Infinity, guest }
  await using inspection = new StreamInspection({
    ...job,
    limits: { ...job.limits, timeMs: Infinity },
  })
  let size = 0
  for await (const block of typeof input === 'string'
    ? readFile(input, ring)
    : blocksOf(input, ring)) {
    if (context.signal.aborted)
      throw new Failure('INTERRUPTED', `importing ${name} was interrupted`)
    size += block.length
    ring.put(block.length)
    await inspection.push(block)
    ring.keep(guest.settled)
    context.progress({ kind: 'bytes', name: 'import', done: size })
    if (inspection.decided) break
  }
  const { format, virtualSize, spooled = 0 } = await inspection.end()
  const findings = job.findings.all
  if (job.findings.refused) throw imageFailure(name, findings)
  if (virtualSize === undefined)
    throw new Failure('IMAGE_UNREADABLE', `${name} is ${format}, which holds no disk`)
  await guest.end()
  const sourceDigest = ring.end()
  sourceDigest.catch(() => {}) // told below, unless finishing fails first
  const { map, contentDigest } = await writer.finish(virtualSize)
  if (spooled > 0) context.log.info('import.spooled', { name, size: formatSize(spooled) })
  return {
    format,
    virtualSize,
    map,
    sourceSize: size,
    sourceDigest: (await sourceDigest)[0],
    contentDigest,
    findings,
    spooled,
  }
}

/** A file in blocks of the ring, the next ones under way while one is worked on. */
async function* readFile(path: string, ring: DigestRing): AsyncGenerator<Buffer> {
  await using file = await openFileSource(path)
  const readAt = async (at: number) => {
    const block = (await ring.take()).subarray(0, file.size - at)
    await readInto(file, block, at)
    return block
  }
  const underWay: Promise<Buffer>[] = []
  try {
    for (let at = 0; ;) {
      for (; at < file.size && underWay.length <= AHEAD; at += BLOCK) {
        const read = readAt(at)
        read.catch(() => {}) // told when it is its turn
        underWay.push(read)
      }
      const block = await underWay.shift()
      if (block === undefined) return
      yield block
    }
  } finally {
    await Promise.allSettled(underWay)
  }
}
