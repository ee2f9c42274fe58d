/** Opens what is converted: in place where its disk can be read there, else unpacked into a working file. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { workingPath } from '../base/leftovers.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import type { ConvertJob } from './convert-image.ts'
import { adoptDisk, type Golden, goldenOf, type ScanListener } from './golden.ts'
import { type KeptDisk, openKeptDisk } from './_kept-golden.ts'
import type { Disk } from './open-disk.ts'
import { type Image, type ImageFormat, IMAGE_FORMATS, openImage } from './open-image.ts'
import { probeFormat } from './probe-format.ts'

/** A disk that can be converted, and what has to be closed and removed after it. */
export interface OpenInput extends AsyncDisposable {
  readonly disk: Source | Disk
  /** The file that the disk stands in. */
  readonly file: Source
  /** Looks at the disk, unless it is known what it holds. Fails as `adoptDisk` does. */
  adopt(listener?: ScanListener): Promise<Golden>
  /** What is kept about the file for the next conversion, if that is wanted and it can be. */
  readonly kept?: KeptDisk | undefined
}

/** The format in which a file of an inspection's `format` is read where it is, if it can be. */
export function readInPlace(format: string): ImageFormat | undefined {
  return format === 'iso' ? 'raw' : IMAGE_FORMATS.find((name) => name === format)
}

/** What a file seems to be, for those who cannot wait for the inspection; it may be wrong. */
export async function guessFormat(
  path: string,
  claim: string | undefined,
): Promise<ImageFormat | undefined> {
  if (claim !== undefined) return readInPlace(claim.toLowerCase())
  await using file = await openFileSource(path)
  if (file.size === 0) return undefined
  const probed = await probeFormat(file)
  return probed === undefined ? 'raw' : readInPlace(probed.format)
}

/**
 * Opens an image where it is. Undefined when parts of it are compressed, so that it is better unpacked.
 * Fails as `openImage` does.
 */
export async function openInPlace(
  path: string,
  format: ImageFormat,
  keep: string | undefined,
  context: Context,
): Promise<OpenInput | undefined> {
  const image = await openImage(path, { format })
  try {
    if (!isPacked(image.disk)) return await inputOf(image, keep, context)
    await image[Symbol.asyncDispose]()
    return undefined
  } catch (error) {
    await image[Symbol.asyncDispose]()
    throw error
  }
}

async function inputOf(
  image: Image,
  keep: string | undefined,
  context: Context,
): Promise<OpenInput> {
  const { disk, file } = image
  const close = () => image[Symbol.asyncDispose]()
  const kept = keep === undefined ? undefined : await openKeptDisk(keep, image)
  const adopt = async (listener?: ScanListener): Promise<Golden> => {
    if (kept?.known) return { disk, ...kept.known }
    const golden = await adoptDisk(disk, file, context, listener)
    await kept?.keep(golden)
    return golden
  }
  return { disk, file, adopt, kept, [Symbol.asyncDispose]: close }
}

function isPacked(disk: Disk): boolean {
  for (const run of disk.runs(0, disk.size)) if (run.kind === 'packed') return true
  return false
}

/** Unpacks the input into a working file, and opens that. Tells also what it was. */
export async function importInput(
  input: string | AsyncIterable<Uint8Array>,
  name: string,
  { inputFormat: claim, output, tempDir }: ConvertJob,
  context: Context,
): Promise<OpenInput & { readonly format: string }> {
  // Loaded when it is needed: what unpacks and reads archives is more code than all the rest.
  const { importImage } = await import('./import-image.ts')
  const { openSparseWriter } = await import('./sparse-writer.ts')
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
      disk: file,
      file,
      adopt: async () => golden,
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
