/**
 * Writes archives of trees: ustar headers, extended ones only where a plain header cannot say it. The
 * same members give the same bytes, on every machine and at any time.
 */
import { MiB, SECTOR } from '../base/units.ts'
import { writePaxRecords } from './_pax-records.ts'
import { TAR_END, TAR_RECORD, tarHeader } from './tar-header.ts'
import type { DataRun, ReadContent, TreeFile, TreeMember } from './tree-archive.ts'

/** Content that is read, and bytes that are handed on, at a time. */
const PIECE = MiB
const NAME = 100
/** What eight and twelve octal digits with their NUL hold. */
const MAX_ID = 8 ** 7 - 1
const MAX_NUMBER = 8 ** 11 - 1

const TYPES = {
  file: '0',
  'hard link': '1',
  link: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const

type Records = (readonly [string, Uint8Array])[]

/** An archive on its way to `put`, which gets it in pieces of about a MiB, one at a time. */
export class TreeArchiveWriter {
  readonly #put: (bytes: Uint8Array) => Promise<void>
  #parts: Uint8Array[] = []
  #waiting = 0
  #length = 0

  constructor(put: (bytes: Uint8Array) => Promise<void>) {
    this.#put = put
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length
  }

  /** Parents come before what is in them. A file's content is asked for run by run, in order. */
  async add(member: TreeMember, read: ReadContent = noContent): Promise<void> {
    const { node } = member
    if (node.type !== 'file') return await this.#write(headerOf(member, 0, []))
    const { size, data } = node
    const map = isWhole(node) ? Buffer.alloc(0) : sparseMap(data, size)
    const stored = map.length + data.reduce((sum, { length }) => sum + length, 0)
    await this.#write(headerOf(member, stored, map.length > 0 ? sparseRecords(member, size) : []))
    await this.#write(map)
    for (const { offset, length } of data)
      for (let done = 0; done < length; done += PIECE)
        await this.#write(await read(offset + done, Math.min(PIECE, length - done)))
    await this.#write(paddingOf(stored))
  }

  /** Ends the archive; the last bytes are handed on. */
  async end(): Promise<void> {
    const short = TAR_RECORD - ((this.#length + TAR_END) % TAR_RECORD)
    await this.#write(Buffer.alloc(TAR_END + (short % TAR_RECORD)))
    await this.#flush()
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    this.#parts.push(bytes)
    this.#waiting += bytes.length
    this.#length += bytes.length
    if (this.#waiting >= PIECE) await this.#flush()
  }

  async #flush(): Promise<void> {
    const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts)
    this.#parts = []
    this.#waiting = 0
    if (bytes !== undefined && bytes.length > 0) await this.#put(bytes)
  }
}

function noContent(): Promise<Uint8Array> {
  throw new Error('a file of the archive has no content')
}

function isWhole({ size, data }: TreeFile): boolean {
  return size === 0 || (data[0]?.offset === 0 && data[0].length === size)
}

/** The header of a member, and before it an extended one where the member needs it. */
function headerOf(member: TreeMember, stored: number, records: Records): Buffer {
  const { node, path, uid, gid, mtime } = member
  const isSparse = records.length > 0
  const name = node.type === 'directory' ? `${path || '.'}/` : path
  const target = 'target' in node ? node.target : ''
  const more: Records = [...records]
  const add = (key: string, value: string) => more.push([key, Buffer.from(value, 'latin1')])
  if (!isSparse && isLong(name)) add('path', name)
  if (isLong(target)) add('linkpath', target)
  if (uid > MAX_ID) add('uid', String(uid))
  if (gid > MAX_ID) add('gid', String(gid))
  if (stored > MAX_NUMBER) add('size', String(stored))
  if (mtime < 0 || mtime > MAX_NUMBER) add('mtime', String(mtime))
  for (const [key, value] of [...member.extended].sort(([a], [b]) => (a < b ? -1 : 1)))
    more.push([`SCHILY.xattr.${key}`, value])
  const shown = isSparse ? `${SPARSE_NAME}${path.split('/').at(-1)}` : name
  const header = plainHeader(member, cut(shown), TYPES[node.type], stored, cut(target))
  if (more.length === 0) return header
  const bytes = writePaxRecords(more)
  return Buffer.concat([
    plainHeader({ ...member, node: { type: 'fifo' } }, PAX_NAME, 'x', bytes.length, ''),
    bytes,
    paddingOf(bytes.length),
    header,
  ])
}

const PAX_NAME = 'PaxHeader'
/** Where readers that know no sparse files put what they cannot join. */
const SPARSE_NAME = 'GNUSparseFile.0/'

/** Longer than the field, or not plain text, of which an extended header says that it is UTF-8. */
function isLong(text: string): boolean {
  return text.length > NAME || /[^ -~]/.test(text)
}

/** As much as fits: who reads extended headers does not look at it. */
function cut(text: string): string {
  return text.slice(0, NAME)
}

/** The fields of `tar-header.ts`, and: 157 what a link points to (100), 329 and 337 numbers of a device (8). */
function plainHeader(
  { mode, uid, gid, mtime, node }: TreeMember,
  name: string,
  type: string,
  size: number,
  target: string,
): Buffer {
  const fits = size <= MAX_NUMBER ? size : 0
  return tarHeader({ name, size: fits, type, magic: 'ustar\x0000' }, (header) => {
    const octal = (at: number, length: number, value: number, most: number) => {
      const shown = value >= 0 && value <= most ? value : 0
      header.write(`${shown.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1')
    }
    octal(100, 8, mode, MAX_ID)
    octal(108, 8, uid, MAX_ID)
    octal(116, 8, gid, MAX_ID)
    octal(136, 12, mtime, MAX_NUMBER)
    header.write(target, 157, 'latin1')
    header.fill(0, 265, 329) // owners have numbers only
    octal(329, 8, 'major' in node ? node.major : 0, MAX_ID)
    octal(337, 8, 'minor' in node ? node.minor : 0, MAX_ID)
  })
}

/** Source: GNU tar, "PAX Format, Version 1.0". */
function sparseRecords({ path }: TreeMember, size: number): Records {
  const records = {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': path,
    'GNU.sparse.realsize': String(size),
  }
  return Object.entries(records).map(([key, value]) => [key, Buffer.from(value, 'latin1')])
}

/** How many runs there are, then offset and length of each, a line each, padded to whole blocks. */
function sparseMap(data: readonly DataRun[], size: number): Buffer {
  const last = data.at(-1)
  const ends = last !== undefined && last.offset + last.length === size
  const runs = ends ? data : [...data, { offset: size, length: 0 }]
  const lines = [runs.length, ...runs.flatMap(({ offset, length }) => [offset, length])]
  const text = Buffer.from(`${lines.join('\n')}\n`)
  return Buffer.concat([text, paddingOf(text.length)])
}

function paddingOf(length: number): Buffer {
  return Buffer.alloc((SECTOR - (length % SECTOR)) % SECTOR)
}
