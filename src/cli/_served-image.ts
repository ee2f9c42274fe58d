import { Option } from 'commander'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Context } from '../base/context.ts'
import { readInto, type Source } from '../bytes/source.ts'
import { ContentDigest } from '../formats/content-digest.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from '../formats/disk-map.ts'
import { inspectImage } from '../formats/inspect.ts'
import { IMAGE_FORMATS, type ImageFormat, openImage } from '../formats/open-image.ts'
import type { Disk } from '../formats/open-disk.ts'
import { isZero } from '../formats/zero-units.ts'
import type { Cli } from './cli.ts'

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
  /** Names the content; see `content-digest.ts`. */
  readonly identity: string
}

/**
 * Opens an image that is to be served, after it was found safe, and reads its data once to tell what
 * is zeros. Progress is told as bytes.
 * Fails with what `openImage` fails with, and with IMAGE_UNSAFE, all findings in `details.findings`.
 */
export async function openServedImage(
  path: string,
  format: ImageFormat | undefined,
  { context }: Cli,
): Promise<ServedImage> {
  await demandSafe(path, format, context)
  const image = await openImage(path, { format })
  try {
    const { map, identity } = await scan(image.disk, context)
    return {
      format: image.format,
      disk: image.disk,
      map,
      identity,
      [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
    }
  } catch (error) {
    await image[Symbol.asyncDispose]()
    throw error
  }
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

/** Which units hold data, and the name of the content. */
async function scan(
  disk: Disk,
  { signal, progress }: Context,
): Promise<{ map: DiskMap; identity: string }> {
  const builder = new DiskMapBuilder()
  const digest = new ContentDigest()
  const buffer = Buffer.allocUnsafeSlow(MiB)
  let next = 0 // extents may begin in the unit in which the one before ends
  for (const { offset, length } of disk.extents()) {
    const end = Math.min(Math.ceil((offset + length) / UNIT) * UNIT, disk.size)
    for (let at = Math.max(Math.floor(offset / UNIT) * UNIT, next); at < end; at = next) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `${disk.name} was not read to its end`)
      const part = buffer.subarray(0, Math.min(MiB, end - at))
      await readInto(disk, part, at)
      for (let inside = 0; inside < part.length; inside += UNIT) {
        const unit = part.subarray(inside, inside + UNIT)
        if (isZero(unit)) continue
        builder.add((at + inside) / UNIT)
        digest.add((at + inside) / UNIT, unit)
      }
      next = at + part.length
      progress({ kind: 'bytes', name: 'read', done: next, total: disk.size })
    }
  }
  const map = builder.toMap(disk.size)
  const identity = await digest.end(map, async (unit) => {
    const offset = unit * UNIT
    return await disk.read(offset, Math.min(UNIT, disk.size - offset))
  })
  return { map, identity }
}
