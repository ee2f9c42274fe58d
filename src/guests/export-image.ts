/** From an image file to the files of an export: looked at first, reached by the cheapest safe way. */
import { access, constants, realpath, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure, Failure, type FailureCode, isFailure, messageOf } from '../base/failure.ts'
import { inspectSafeImage } from '../formats/inspect-safe-image.ts'
import {
  demandTrust,
  type ImageOptions,
  type ImageVia,
  openImageRemote,
  viaForCommands,
  WAYS,
} from '../remotes/open-image.ts'
import { type ExportFormat, exportPathsOf } from './export-formats.ts'
import { type Exported, exportRoot } from './export-root.ts'
import { exportTriple } from './export-triple.ts'

export interface ExportOptions extends Pick<
  ImageOptions,
  'path' | 'rootFileSystem' | 'tempDir' | 'cacheDir'
> {
  readonly format: ExportFormat
  /** The file that is made; forms of several files name the others after it. */
  readonly output: string
  /** `auto`: by reading; where that cannot answer, in the sandbox if the image is trusted, or else in the appliance. */
  readonly via: 'auto' | ImageVia
  /** The user vouches for the image, so this host may mount it. */
  readonly trusted: boolean
  /** Which accelerator the appliance runs by; asked only if it is needed. */
  readonly chooseAccelerator: () => Promise<'kvm' | 'tcg'>
}

/** What keeps our own readers from a guest, but not a kernel. */
const READERS_LIMITS: readonly FailureCode[] = [
  'FILE_SYSTEM_UNSUPPORTED',
  'FILE_SYSTEM_DIRTY',
  'REMOTE_CANNOT',
]

/**
 * Exports the guest of an image: whole or not at all, the image is not changed.
 * Fails with FILE_NOT_FOUND, IMAGE_UNSAFE and the other refusals of an inspection, USAGE, NEEDS_TRUST,
 * and as `openImageRemote`, `exportRoot` and `exportTriple`.
 */
export async function exportImage(options: ExportOptions, context: Context): Promise<Exported> {
  const { path, output, tempDir } = options
  for (const one of exportPathsOf(options.format, output).paths) await checkOutput(path, one)
  context.progress({ kind: 'phase', name: 'inspect', detail: path })
  await inspectSafeImage(path, { spoolDirectory: tempDir }, context)
  if (options.via !== 'auto')
    return await exportVia(demandTrust(options.via, options.trusted), options, context)
  try {
    return await exportVia('read', options, context)
  } catch (error) {
    if (!READERS_LIMITS.some((code) => isFailure(error, code))) throw error
    context.log.info('export.read', { path, why: messageOf(error) })
    return await exportVia(viaForCommands(options.trusted), options, context)
  }
}

async function exportVia(
  via: ImageVia,
  options: ExportOptions,
  context: Context,
): Promise<Exported> {
  const { path, format, output, tempDir } = options
  const accelerator = via === 'appliance' ? await options.chooseAccelerator() : 'tcg'
  context.progress({ kind: 'phase', name: 'open', detail: `${path} ${WAYS[via]}` })
  await using remote = await openImageRemote(
    {
      path,
      name: basename(path),
      via,
      access: 'check',
      network: false,
      accelerator,
      tempDir,
      cacheDir: options.cacheDir,
      ...(options.rootFileSystem !== undefined && { rootFileSystem: options.rootFileSystem }),
    },
    context,
  )
  return format.kind === 'ami'
    ? await exportTriple(remote, format, { image: path, output }, context)
    : await exportRoot(remote, format, { output, tempDir }, context)
}

/** Before anything is done, so that a name that cannot be made costs nothing. */
async function checkOutput(input: string, output: string): Promise<void> {
  const [from, to] = await Promise.all(
    [input, output].map(async (path) => await realpath(path).catch(() => undefined)),
  )
  if (from !== undefined && from === to)
    throw new Failure('USAGE', `${output} is the input itself; name another output`)
  if (to !== undefined && !(await stat(to)).isFile())
    throw new Failure('FILE_UNREADABLE', `${output} is no regular file`, { fix: 'Name a file.' })
  const directory = dirname(output)
  await access(directory, constants.W_OK).catch((error: unknown) => {
    throw asFileFailure(error, directory)
  })
}
