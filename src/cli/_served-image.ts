import { stat } from 'node:fs/promises'
import { Option } from 'commander'
import { asFileFailure, Failure, systemCode } from '../base/failure.ts'
import type { Context } from '../base/context.ts'
import type { Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'
import { adoptDisk } from '../formats/golden.ts'
import { inspectImage } from '../formats/inspect.ts'
import { IMAGE_FORMATS, type ImageFormat, openImage } from '../formats/open-image.ts'
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
  /** See `Golden.identity`. */
  readonly identity: string
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
    const { disk, map, identity } = await adoptDisk(image.disk, image.file, context)
    const demandUnchanged = async () => {
      if ((await stateOf(path)) === before) return
      throw new Failure('IMAGE_BUSY', `${path} was changed since it was opened`, {
        fix: 'Start again once nobody writes to it.',
      })
    }
    await demandUnchanged()
    const close = () => image[Symbol.asyncDispose]()
    const { format } = image
    return { format, disk, map, identity, demandUnchanged, [Symbol.asyncDispose]: close }
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
