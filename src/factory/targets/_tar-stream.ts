/** Tar archives that are told while their files are: nothing is kept. */
import { SECTOR } from '../../base/units.ts'
import { TAR_END, TAR_RECORD, tarHeader } from '../../formats/tar-header.ts'
import type { FormattedDisk } from '../cloud-target.ts'
import { streamFormatted } from '../stream-formatted.ts'

/** A file of an archive; a directory has a name that ends in a slash, and no content. */
export interface TarFile {
  /** At most 100 characters of ASCII. */
  readonly name: string
  readonly size: number
  /** Default 0644, and 0755 of directories. */
  readonly mode?: number
  /** Number of owner and group. Default: root. */
  readonly owner?: number
  /** Just `size` bytes, the same each time. */
  stream(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export function tarBytes(name: string, bytes: Uint8Array | string): TarFile {
  const content = Buffer.from(bytes as Uint8Array)
  return {
    name,
    size: content.length,
    stream: async function* () {
      yield content
    },
  }
}

export function tarDisk(name: string, disk: FormattedDisk): TarFile {
  return { name, size: disk.size, stream: (signal) => streamFormatted(disk, signal) }
}

/** Bytes of the archive. */
export function tarLength(files: readonly TarFile[]): number {
  const length = files.reduce((sum, { size }) => sum + SECTOR + size + paddingOf(size), TAR_END)
  return Math.ceil(length / TAR_RECORD) * TAR_RECORD
}

/** The archive: the same files give the same bytes. */
export async function* tarStream(
  files: readonly TarFile[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let length = 0
  for (const file of files) {
    yield headerOf(file)
    let size = 0
    for await (const chunk of file.stream(signal)) {
      size += chunk.length
      yield chunk
    }
    if (size !== file.size)
      throw new RangeError(`${file.name} has ${size} bytes; ${file.size} were announced`)
    yield Buffer.alloc(paddingOf(size))
    length += SECTOR + size + paddingOf(size)
  }
  yield Buffer.alloc(tarLength(files) - length)
}

function paddingOf(size: number): number {
  return (SECTOR - (size % SECTOR)) % SECTOR
}

function headerOf({ name, size, mode, owner = 0 }: TarFile): Buffer {
  if (name.length > 100 || /[^ -~]/.test(name)) throw new RangeError(`${name} is no name for a tar`)
  const isDirectory = name.endsWith('/')
  const type = isDirectory ? '5' : '0'
  return tarHeader({ name, size, type, magic: 'ustar\x0000' }, (header) => {
    const octal = (at: number, value: number) =>
      void header.write(`${value.toString(8).padStart(7, '0')}\0`, at, 'latin1')
    octal(100, mode ?? (isDirectory ? 0o755 : 0o644))
    octal(108, owner)
    octal(116, owner)
    if (owner !== 0) header.fill(0, 265, 329) // its name is not known
  })
}
