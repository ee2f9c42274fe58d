/**
 * Disk images as users have them: a file that is a disk (raw) or holds one. Formats are told by
 * content, never by the file's name; what Ingot cannot read is refused by name.
 */
import { Failure, isFailure } from '../base/failure.ts'
import { KiB, SECTOR } from '../base/units.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import { probeFileSystem } from './file-systems.ts'
import { type Disk, openDisk } from './open-disk.ts'
import { loadParser } from './parsers.ts'
import { type ProbedFormat, probeFormat } from './probe-format.ts'

/** Formats in which an image can be opened. */
export const IMAGE_FORMATS = ['raw', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi'] as const
export type ImageFormat = (typeof IMAGE_FORMATS)[number]

/** Formats of images that are worked in: changed in place, started as a machine. */
export const WORK_FORMATS = ['raw', 'qcow2'] as const
export type WorkFormat = (typeof WORK_FORMATS)[number]

/** An open image. Closing it closes the file, if it was opened here. */
export interface Image<Format extends ImageFormat = ImageFormat> extends AsyncDisposable {
  /** Or the name of the source. */
  readonly path: string
  readonly format: Format
  /** The file itself. */
  readonly file: Source
  /** The guest's disk: its `size` is the virtual size. */
  readonly disk: Disk
}

const COMPRESSED: ReadonlySet<string> = new Set(['xz', 'zstd', '7z', 'zip', 'bzip2', 'gzip', 'tar'])

/**
 * Opens an image, a file or any source, for reading. Without `format` the content tells it; `raw` said by the caller is
 * taken at its word, whatever the content looks like. Only formats `among` those given are opened
 * (all, when left out). Of an image with snapshots the disk is read as it is now.
 *
 * Fails with IMAGE_NOT_FOUND, IMAGE_UNREADABLE (another format, or no disk at all), IMAGE_UNSAFE
 * (a backing file, tables that lie), IMAGE_DIRTY, IMAGE_TRUNCATED, FILE_SYSTEM_ENCRYPTED.
 */
export async function openImage<Format extends ImageFormat = ImageFormat>(
  image: string | Source,
  { format, among }: { format?: Format | undefined; among?: readonly Format[] } = {},
): Promise<Image<Format>> {
  const isPath = typeof image === 'string'
  const file = isPath ? await openFile(image) : image
  const path = file.name
  const close = async () => {
    if (isPath) await file[Symbol.asyncDispose]()
  }
  try {
    if (file.size === 0) throw new Failure('IMAGE_TRUNCATED', `${path} is empty`)
    const wanted: readonly ImageFormat[] = among ?? IMAGE_FORMATS
    if (format !== undefined && format !== 'raw') await demandFormat(file, format)
    const found = format ?? (await tellFormat(file, wanted))
    const parser = await loadParser(found)
    if (parser === undefined || !wanted.includes(found))
      throw new Failure('IMAGE_UNREADABLE', `${path}: images are not opened as ${found} here`)
    const disk = await openDisk(file, parser, { tolerated: ['SNAPSHOTS'] })
    return { path, format: found as Format, file, disk, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openFile(path: string): Promise<Source> {
  try {
    return await openFileSource(path)
  } catch (error) {
    if (!isFailure(error, 'FILE_NOT_FOUND')) throw error
    throw new Failure('IMAGE_NOT_FOUND', `no image ${path}`, { details: { path }, cause: error })
  }
}

async function demandFormat(file: Source, format: ImageFormat): Promise<void> {
  const probed = await probeFormat(file)
  if (probed?.format === format) return
  throw new Failure(
    'IMAGE_UNREADABLE',
    `${file.name} is no ${format} image${probed ? `, but ${probed.format}` : ''}`,
    { details: { format, found: probed?.format } },
  )
}

/** To `convert` and `view`, `--format` says what comes out. */
const SAY_RAW = 'say --format raw (of convert and view: --input-format raw)'

async function tellFormat(file: Source, wanted: readonly ImageFormat[]): Promise<ImageFormat> {
  const probed = await probeFormat(file)
  const known = wanted.find((format) => format === probed?.format)
  if (known !== undefined) return known
  if (probed !== undefined) throw refusal(file, probed, wanted)
  if (file.size % SECTOR !== 0)
    throw new Failure(
      'IMAGE_TRUNCATED',
      `${file.name} is no whole disk: its ${file.size} bytes are not a multiple of ${SECTOR}`,
      { details: { size: file.size } },
    )
  if (!(await looksLikeDisk(file)))
    throw new Failure(
      'IMAGE_UNREADABLE',
      `${file.name} is no disk image: no known format, no partition table, no file system`,
      { fix: `If it is a raw disk all the same, ${SAY_RAW}.` },
    )
  return 'raw'
}

function refusal(
  file: Source,
  { format, offset }: ProbedFormat,
  wanted: readonly ImageFormat[],
): Failure {
  const options = { details: { format, offset } }
  if (format === 'luks')
    return new Failure(
      'FILE_SYSTEM_ENCRYPTED',
      `${file.name} is encrypted as a whole (LUKS at byte ${offset})`,
      options,
    )
  const fix = COMPRESSED.has(format)
    ? 'Unpack it first.'
    : `Convert it to qcow2 or raw first (ingot convert). If it is a raw disk that only looks like ${format}, ${SAY_RAW}.`
  return new Failure(
    'IMAGE_UNREADABLE',
    `${file.name} is ${format} (by its signature at byte ${offset}); Ingot opens ${wanted.join(', ')} here`,
    { ...options, fix },
  )
}

/** A boot signature, a file system, or nothing but zeros yet. */
async function looksLikeDisk(file: Source): Promise<boolean> {
  const head = Buffer.from(await file.read(0, Math.min(file.size, 64 * KiB)))
  if (head.readUInt16LE(510) === 0xaa55) return true
  return head.every((byte) => byte === 0) || (await probeFileSystem(file)) !== undefined
}
