import { stat } from 'node:fs/promises'
import { Option } from 'commander'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Context } from '../base/context.ts'
import { readInto, type Source } from '../bytes/source.ts'
import { ContentDigest } from '../formats/content-digest.ts'
import { type DiskMap, UNIT } from '../formats/disk-map.ts'
import { adoptDisk } from '../formats/golden.ts'
import { inspectImage } from '../formats/inspect.ts'
import { IMAGE_FORMATS, type ImageFormat, openImage } from '../formats/open-image.ts'
import type { Cli } from './cli.ts'

/** Bytes of a read. */
const AT_ONCE = MiB

/** The option that says what the image is, for commands that read any. */
export function imageFormatOption(flag: '--format' | '--input-format'): Option {
  const help = 'disk format of the image; told from its content when left out'
  return new Option(`${flag} <format>`, help).choices([...IMAGE_FORMATS])
}

/** The guest's disk inside an image. Closing it closes the image. */
export interface ServedImage extends AsyncDisposable {
  readonly format: ImageFormat
  readonly disk: Source
  /** Of content: each unit in it was looked at. */
  readonly map: DiskMap
  /** Fails with IMAGE_BUSY when the file was written to since it was opened: map and tables may lie then. */
  demandUnchanged(): Promise<void>
}

/**
 * Opens an image that is to be served, after it was found safe, and looks at what it holds.
 * Fails with what `openImage` fails with, and with IMAGE_UNSAFE, all findings in `details.findings`.
 */
export async function openServedImage(
  path: string,
  format: ImageFormat | undefined,
  { context }: Cli,
): Promise<ServedImage> {
  const before = await stateOf(path)
  await demandSafe(path, format, context)
  const image = await openImage(path, { format })
  try {
    const { disk, map } = await adoptDisk(image.disk, image.file, context)
    const demandUnchanged = async () => {
      if ((await stateOf(path)) === before) return
      throw new Failure('IMAGE_BUSY', `${path} was changed since it was opened`, {
        fix: 'Start again once nobody writes to it.',
      })
    }
    await demandUnchanged()
    const close = () => image[Symbol.asyncDispose]()
    return { format: image.format, disk, map, demandUnchanged, [Symbol.asyncDispose]: close }
  } catch (error) {
    await image[Symbol.asyncDispose]()
    throw error
  }
}

/** Another text whenever the file was written to, or is another file. */
async function stateOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true }).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw asFileFailure(error, path)
    throw new Failure('IMAGE_NOT_FOUND', `no image ${path}`, { details: { path }, cause: error })
  })
  return [dev, ino, size, mtimeNs].join(' ')
}

async function demandSafe(
  path: string,
  claim: ImageFormat | undefined,
  context: Context,
): Promise<void> {
  const { safe, findings } = await inspectImage(path, { claim }, context)
  if (safe) return
  const { code, at, found } = findings.find(({ severity }) => severity === 'refuse') ?? {}
  const place = at === undefined ? '' : ` at byte ${at}`
  const what = found === undefined ? '' : ` (${found})`
  throw new Failure('IMAGE_UNSAFE', `${path} is not safe to open: ${code}${place}${what}`, {
    details: { findings },
    fix: `See all that was found: ingot inspect ${path}`,
  })
}

/**
 * The digest of all that the disk holds; see `content-digest.ts`. What is told about bytes over HTTP
 * (a strong ETag, compressed clusters that are kept) has to change with every one of them, so the whole
 * is read once. Fails with INTERRUPTED, and with what reading fails with.
 */
export async function readIdentity(
  { disk, map }: ServedImage,
  { signal, progress }: Context,
): Promise<string> {
  const digest = new ContentDigest()
  const total = map.dataUnits * map.unit
  let done = 0
  let [buffer, other] = [Buffer.allocUnsafeSlow(AT_ONCE), Buffer.allocUnsafeSlow(AT_ONCE)]
  let before: { first: number; bytes: Buffer } | undefined
  const digestBefore = () => {
    if (before === undefined) return
    const { first, bytes } = before
    for (let at = 0; at < bytes.length; at += UNIT)
      digest.add(first + at / UNIT, bytes.subarray(at, at + UNIT))
  }
  for (const { offset, length } of map.extents())
    for (let at = offset; at < offset + length; at += AT_ONCE) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `${disk.name} was not read to its end`)
      const bytes = buffer.subarray(0, Math.min(AT_ONCE, offset + length - at))
      const read = readInto(disk, bytes, at)
      digestBefore() // while the next part is being read
      await read
      before = { first: at / UNIT, bytes }
      ;[buffer, other] = [other, buffer]
      done += bytes.length
      progress({ kind: 'bytes', name: 'read', done, total })
    }
  digestBefore()
  return await digest.end(map, async (unit) => {
    const at = unit * UNIT
    return await disk.read(at, Math.min(UNIT, disk.size - at))
  })
}
