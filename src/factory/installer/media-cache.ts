/**
 * Installers' media, kept by digest. What an address stood for last is written down beside, with what names it there
 * (ETag, time of change), so that the next build asks once and fetches nothing. A fill is worked on under a lock and
 * in a working file, and appears whole or not at all: one that crashed leaves nothing that is taken for anything.
 */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../../base/context.ts'
import { asFileFailure, Failure, isFailure, messageOf } from '../../base/failure.ts'
import { withFileLock } from '../../base/file-lock.ts'
import { removeLeftovers, workingPath } from '../../base/leftovers.ts'
import { formatSize, GiB, KiB, MiB } from '../../base/units.ts'
import { askWeb, downloadFailure, withoutPassword } from '../../bytes/web-request.ts'
import { type DigestAlgorithm, findChecksum } from './checksum-file.ts'
import { isFileAddress, type MediumTuning, openMedium } from './open-medium.ts'

export interface MediumOrder {
  readonly url: string
  /** The URL of a file of checksums. */
  readonly checksum?: { readonly algorithm: DigestAlgorithm; readonly url: string } | undefined
  /** More bytes than these are not taken. Default 32 GiB. */
  readonly maxSize?: number | undefined
}

export interface MediaScene extends MediumTuning {
  readonly context: Context
  readonly directory: string
  tell(what: string): void
}

type Asking = Pick<MediaScene, 'context' | keyof MediumTuning>

/** What an address stood for. */
interface Entry {
  readonly url: string
  readonly sha256: string
  readonly size: number
  /** All digests of it, by algorithm. */
  readonly digests: Readonly<Record<DigestAlgorithm, string>>
  readonly etag?: string | undefined
  readonly changed?: string | undefined
}

const ALGORITHMS: readonly DigestAlgorithm[] = ['md5', 'sha1', 'sha256']
const MAX_CHECKSUMS = 4 * MiB
const MAX_ENTRY = 64 * KiB

/**
 * The path of what stands at an address: fetched, or kept from another build if it is the same still. It must not be
 * changed. Of two that want the same at a time, one fetches and the other waits.
 * Fails with DOWNLOAD_FAILED (with the URL), DIGEST_MISMATCH, NO_SPACE, INTERRUPTED.
 */
export async function fetchMedium(order: MediumOrder, scene: MediaScene): Promise<string> {
  const { directory, context } = scene
  const entryPath = join(directory, `${createHash('sha256').update(order.url).digest('hex')}.json`)
  try {
    await mkdir(directory, { recursive: true })
    const wanted = await readChecksum(order, scene)
    return await withFileLock(`${entryPath}.lock`, context.signal, async () => {
      await removeLeftovers(entryPath)
      const kept = await readEntry(entryPath, directory)
      if (kept !== undefined && (await isCurrent(kept, order, wanted, scene)))
        return contentPath(directory, kept.sha256)
      return await fill(order, wanted, entryPath, scene)
    })
  } catch (error) {
    throw asFileFailure(error, directory)
  }
}

/** A small file at an address, as text. Fails with DOWNLOAD_FAILED, INTERRUPTED. */
async function readText(url: string, scene: Asking): Promise<string> {
  const { stream } = await openMedium(url, scene, scene.context)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > MAX_CHECKSUMS) throw downloadFailure(url, 'it is too large for a checksum file')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** The digest that the file of checksums has of it. Fails with DOWNLOAD_FAILED, DIGEST_MISMATCH, INTERRUPTED. */
export async function readChecksum(order: MediumOrder, scene: Asking): Promise<string | undefined> {
  const { checksum, url } = order
  if (checksum === undefined) return undefined
  const name = basename(new URL(url).pathname)
  try {
    return findChecksum(await readText(checksum.url, scene), name, checksum.algorithm)
  } catch (error) {
    if (!isFailure(error, 'DIGEST_MISMATCH')) throw error
    throw new Failure('DIGEST_MISMATCH', `${withoutPassword(checksum.url)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function contentPath(directory: string, sha256: string): string {
  return join(directory, `sha256-${sha256}`)
}

/** The entry, if its content is there whole. */
async function readEntry(path: string, directory: string): Promise<Entry | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    const entry = JSON.parse(text.slice(0, MAX_ENTRY)) as Entry
    if (!/^[0-9a-f]{64}$/.test(entry.sha256)) return undefined
    const { size } = await stat(contentPath(directory, entry.sha256))
    return size === entry.size ? entry : undefined
  } catch {
    return undefined
  }
}

/** Whether what is kept is what stands there: by the checksum if there is one, else by asking. */
async function isCurrent(
  kept: Entry,
  { url, checksum }: MediumOrder,
  wanted: string | undefined,
  scene: MediaScene,
): Promise<boolean> {
  if (checksum !== undefined) return kept.digests[checksum.algorithm] === wanted
  const { context, reach, tell } = scene
  if (isFileAddress(url)) {
    const { names, cancel } = await openMedium(url, scene, context)
    cancel()
    return names.etag === kept.etag
  }
  const headers = {
    ...(kept.etag !== undefined && { 'if-none-match': kept.etag }),
    ...(kept.changed !== undefined && { 'if-modified-since': kept.changed }),
  }
  if (Object.keys(headers).length === 0) return false
  const question = { rules: reach.web, signal: context.signal, silenceMs: 30_000, headers }
  try {
    const { response } = await askWeb(url, question)
    response.destroy()
    // A server that is in trouble does not say that it has something else.
    if ((response.statusCode ?? 0) < 500) return response.statusCode === 304
  } catch (error) {
    if (context.signal.aborted || isFailure(error)) throw error
  }
  tell(`${withoutPassword(url)} cannot be asked; what was fetched earlier is used`)
  return true
}

async function fill(
  order: MediumOrder,
  wanted: string | undefined,
  entryPath: string,
  scene: MediaScene,
): Promise<string> {
  const { url, checksum } = order
  const partial = workingPath(entryPath, 'fill')
  try {
    const entry = await download(order, partial, scene)
    const found = checksum && entry.digests[checksum.algorithm]
    if (checksum !== undefined && found !== wanted)
      throw new Failure(
        'DIGEST_MISMATCH',
        `${withoutPassword(url)}: its ${checksum.algorithm} is ${found}, wanted ${wanted}`,
        { details: { url: withoutPassword(url), found, wanted } },
      )
    const path = contentPath(scene.directory, entry.sha256)
    await rename(partial, path)
    const text = workingPath(entryPath, 'entry')
    await writeFile(text, JSON.stringify(entry))
    await rename(text, entryPath)
    scene.tell(`fetched ${withoutPassword(url)}, ${formatSize(entry.size)}`)
    return path
  } finally {
    await rm(partial, { force: true })
  }
}

async function download(order: MediumOrder, path: string, scene: MediaScene): Promise<Entry> {
  const { url, maxSize = 32 * GiB } = order
  const { context } = scene
  const coming = await openMedium(url, scene, context)
  const tooLarge = () => downloadFailure(url, `it has more than ${formatSize(maxSize)}`)
  if ((coming.size ?? 0) > maxSize) {
    coming.cancel()
    throw tooLarge()
  }
  const hashes = ALGORITHMS.map((algorithm) => createHash(algorithm))
  let size = 0
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      size += chunk.length
      for (const hash of hashes) hash.update(chunk)
      const total = coming.size
      context.progress({
        kind: 'bytes',
        name: withoutPassword(url),
        done: size,
        ...(total !== undefined && { total }),
      })
      next(size > maxSize ? tooLarge() : null, chunk)
    },
  })
  await pipeline(Readable.from(coming.stream), meter, createWriteStream(path))
  const [md5 = '', sha1 = '', sha256 = ''] = hashes.map((hash) => hash.digest('hex'))
  return {
    url: withoutPassword(url),
    sha256,
    size,
    digests: { md5, sha1, sha256 },
    ...coming.names,
  }
}
