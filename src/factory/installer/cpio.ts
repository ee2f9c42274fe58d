import { Failure } from '../../base/failure.ts'

/** Something in an archive. Directories that a path goes through are made by themselves. */
export type CpioEntry =
  | { readonly path: string; readonly content: Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly linkTo: string }

const TYPE = { directory: 0o040_000, file: 0o100_000, link: 0o120_000 } as const
const TRAILER = 'TRAILER!!!'
const ALIGNMENT = 4
const MAX_CONTENT = 0xffff_ffff

/**
 * A cpio archive as the kernel unpacks it for its initial root (newc, without checksums): root owns everything, and
 * the same entries give the same bytes. Fails with USAGE when a path has no plain names between its slashes, or comes
 * twice.
 * Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5).
 *
 * | offset | size | field, in hexadecimal digits             |
 * | ------ | ---- | ---------------------------------------- |
 * | 0      | 6    | `070701`                                 |
 * | 6      | 8    | number of the file                       |
 * | 14     | 8    | type and mode                            |
 * | 22     | 16   | user and group                           |
 * | 38     | 8    | names of it: 1; of a directory 2         |
 * | 46     | 8    | time of change, seconds since 1970       |
 * | 54     | 8    | size                                     |
 * | 62     | 32   | devices: where it lies, what it stands for |
 * | 94     | 8    | length of the name, with its final 0     |
 * | 102    | 8    | checksum: 0                              |
 * | 110    |      | name, 0, filled up to a multiple of 4    |
 * |        |      | content, filled up to a multiple of 4    |
 */
export function makeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const paths = entries.map(({ path }) => checkPath(path))
  if (new Set(paths).size < paths.length)
    throw new Failure('USAGE', 'two entries of a cpio archive have the same path')
  const parts: Uint8Array[] = []
  let inode = 0
  const add = (path: string, mode: number, content: Uint8Array) =>
    parts.push(...record(path, mode, content, inode++))
  for (const path of directoriesOf(paths)) add(path, TYPE.directory | 0o755, Buffer.alloc(0))
  for (const entry of entries)
    if ('linkTo' in entry) add(entry.path, TYPE.link | 0o777, Buffer.from(entry.linkTo))
    else add(entry.path, TYPE.file | (entry.mode ?? 0o644), entry.content)
  parts.push(...record(TRAILER, 0, Buffer.alloc(0), 0))
  return Buffer.concat(parts)
}

function checkPath(path: string): string {
  const isPlain = path.split('/').every((name) => name !== '' && name !== '.' && name !== '..')
  if (!isPlain || path.length > 4000 || path.includes('\0') || path === TRAILER)
    throw new Failure('USAGE', `'${path}' cannot be a path in a cpio archive`)
  return path
}

/** Each directory before what is in it. */
function directoriesOf(paths: readonly string[]): string[] {
  const found = new Set<string>()
  for (const path of paths)
    for (let end = path.indexOf('/'); end >= 0; end = path.indexOf('/', end + 1))
      found.add(path.slice(0, end))
  return [...found].toSorted()
}

function record(path: string, mode: number, content: Uint8Array, inode: number): Uint8Array[] {
  if (content.length > MAX_CONTENT) throw new Failure('USAGE', `${path} is too large for cpio`)
  const name = Buffer.from(`${path}\0`)
  const links = (mode & TYPE.directory) === TYPE.directory ? 2 : 1
  const numbers = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
  return [padded(Buffer.concat([Buffer.from(header), name])), padded(content)]
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % ALIGNMENT
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(ALIGNMENT - rest)])
}
