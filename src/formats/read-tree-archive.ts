/**
 * Reads archives of trees, as tar programs and `write-tree-archive.ts` write them: ustar headers with
 * extended ones. Nothing is unpacked: the answer is what is in the tree, and where the content stands.
 *
 * Such an archive may come out of a place where a guest's programs ran, so it is held to what a tree
 * is: every name once, below directories that are there, hard links to what is there.
 */
import { Failure } from '../base/failure.ts'
import { MiB, SECTOR } from '../base/units.ts'
import { cached } from '../bytes/cached.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import { isTarHeader } from './_detect.ts'
import { parsePaxRecords } from './_pax-records.ts'
import { readSparseFile } from './_sparse-file.ts'
import {
  type DataRun,
  pathFault,
  type ReadContent,
  showPath,
  type TreeMember,
} from './tree-archive.ts'

/** A name in an archive, and where its content stands if it is a file. */
export interface StoredMember extends TreeMember {
  /** Of each run of data, where it starts in the archive. */
  readonly places: readonly number[]
}

/** More than any guest has; each costs memory. */
const MAX_MEMBERS = 3_000_000
const MAX_NAMES = 512 * MiB
const MAX_RECORDS = MiB
const XATTR = 'SCHILY.xattr.'

type Records = ReadonlyMap<string, Buffer>
const NO_RECORDS: Records = new Map()
const NO_EXTENDED: TreeMember['extended'] = new Map()

/**
 * What is in an archive, sorted by path: parents come first. Of a file with several names the first
 * has the content, the others are hard links to it, whatever the order in the archive.
 *
 * Fails with IMAGE_UNSAFE when the archive is not that of a tree, with IMAGE_TRUNCATED when it is cut.
 */
export async function readTreeArchive(archive: Source): Promise<StoredMember[]> {
  const members = new Map<string, StoredMember>()
  let names = 0
  for await (const member of membersOf(archive)) {
    const { path } = member
    names += path.length
    if (members.size >= MAX_MEMBERS || names > MAX_NAMES)
      throw new Failure(
        'IMAGE_UNSAFE',
        `${archive.name}: more than ${members.size} files and directories`,
      )
    if (members.has(path)) throw unsafe(archive, path, 'is there twice')
    members.set(path, member)
  }
  for (const { path } of members.values()) {
    const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0))
    if (members.get(parent)?.node.type !== 'directory')
      throw unsafe(archive, path, 'stands below no directory')
  }
  return settleHardLinks(archive, members).sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** A way to read the content of a file that stands in an archive; what is not stored is zeros. */
export function contentOf(archive: Source, { node, places }: StoredMember): ReadContent {
  const data = node.type === 'file' ? node.data : []
  return async (offset, length) => {
    const end = offset + length
    const bytes = Buffer.alloc(length)
    for (let index = firstEndingAfter(data, offset); index < data.length; index++) {
      const run = data[index]
      if (run === undefined || run.offset >= end) break
      const from = Math.max(offset, run.offset)
      const count = Math.min(end, run.offset + run.length) - from
      const place = (places[index] ?? 0) + from - run.offset
      if (count === length) return await archive.read(place, length)
      bytes.set(await archive.read(place, count), from - offset)
    }
    return bytes
  }
}

function firstEndingAfter(data: readonly DataRun[], offset: number): number {
  let low = 0
  let high = data.length
  while (low < high) {
    const middle = (low + high) >> 1
    const run = data[middle]
    if (run !== undefined && run.offset + run.length > offset) high = middle
    else low = middle + 1
  }
  return low
}

function unsafe(archive: Source, path: string, what: string): Failure {
  return new Failure('IMAGE_UNSAFE', `${archive.name}: ${showPath(path)} ${what}`)
}

/** Members in the order of the archive. */
async function* membersOf(archive: Source): AsyncGenerator<StoredMember> {
  const source = cached(archive)
  let records = NO_RECORDS
  for (let at = 0; ;) {
    const header = await headerAt(source, at)
    if (header === undefined) return
    const type = header.chars(156, 1)
    const stored = sizeOf(header, records)
    const content = at + SECTOR
    if (type === 'x') {
      records = await recordsAt(source, content, stored, header)
    } else {
      const member = await memberOf(source, header, { records, content, stored })
      if (member !== undefined) yield member
      records = NO_RECORDS
    }
    at = content + Math.ceil(stored / SECTOR) * SECTOR
  }
}

/** Undefined at the end of the archive: an empty block. */
async function headerAt(source: Source, start: number): Promise<Fields | undefined> {
  const block = Buffer.from(await source.read(start, SECTOR))
  if (block.every((byte) => byte === 0)) return undefined
  const header = new Fields(block, { name: `${source.name}: tar header`, start })
  if (!isTarHeader(block)) throw header.fault('IMAGE_UNSAFE', 148, 'a wrong check sum')
  return header
}

async function recordsAt(
  source: Source,
  content: number,
  length: number,
  header: Fields,
): Promise<Records> {
  if (length > MAX_RECORDS) throw header.fault('IMAGE_UNSAFE', 124, `${length} bytes of records`)
  const records = parsePaxRecords(Buffer.from(await source.read(content, length)))
  if (records === undefined)
    throw header.fault('IMAGE_UNSAFE', SECTOR, 'an extended header that is none')
  return records
}

const NODES: Readonly<Record<string, TreeMember['node']['type']>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hard link',
  '2': 'link',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

interface Place {
  readonly records: Records
  /** Where the content starts, and how many bytes of it there are. */
  readonly content: number
  readonly stored: number
}

async function memberOf(
  source: Source,
  header: Fields,
  place: Place,
): Promise<StoredMember | undefined> {
  const { records } = place
  const type = NODES[header.chars(156, 1)]
  if (type === undefined)
    throw header.fault(
      'IMAGE_UNSAFE',
      156,
      `a member of type ${JSON.stringify(header.chars(156, 1))}`,
    )
  const path = plainPath(
    textOf(records, 'GNU.sparse.name') ?? textOf(records, 'path') ?? nameOf(header),
    header,
  )
  const { node, places } = await nodeOf(source, type, header, place)
  return {
    path,
    node,
    places,
    mode: octal(header, 100, 8) & 0o7777,
    uid: numberOf(records, 'uid', header) ?? octal(header, 108, 8),
    gid: numberOf(records, 'gid', header) ?? octal(header, 116, 8),
    mtime: numberOf(records, 'mtime', header) ?? octal(header, 136, 12),
    extended: extendedOf(records),
  }
}

async function nodeOf(
  source: Source,
  type: TreeMember['node']['type'],
  header: Fields,
  { records, content, stored }: Place,
): Promise<{ node: TreeMember['node']; places: number[] }> {
  const target = () => textOf(records, 'linkpath') ?? header.text(157, 100)
  if (type !== 'file' && stored > 0)
    throw header.fault('IMAGE_UNSAFE', 124, `${stored} bytes of content in what is no file`)
  switch (type) {
    case 'file': {
      const form = numberOf(records, 'GNU.sparse.major', header)
      const size = numberOf(records, 'GNU.sparse.realsize', header)
      if (form === 1 && size !== undefined)
        return await readSparseFile(source, header, { content, stored, size })
      if (form !== undefined)
        throw header.fault('IMAGE_UNSAFE', SECTOR, `a sparse file of form ${form}`)
      const data = stored > 0 ? [{ offset: 0, length: stored }] : []
      return { node: { type, size: stored, data }, places: [content] }
    }
    case 'link':
      return { node: { type, target: target() }, places: [] }
    case 'hard link':
      return { node: { type, target: plainPath(target(), header) }, places: [] }
    case 'character':
    case 'block':
      return {
        node: { type, major: octal(header, 329, 8), minor: octal(header, 337, 8) },
        places: [],
      }
    default:
      return { node: { type }, places: [] }
  }
}

/** Without `./` before it and `/` behind it; the root is empty. Fails with IMAGE_UNSAFE. */
function plainPath(path: string, header: Fields): string {
  const plain = path.replace(/^\.(\/+|$)/, '').replace(/\/+$/, '')
  const fault = pathFault(plain)
  if (fault !== undefined || path.startsWith('/'))
    throw header.fault('IMAGE_UNSAFE', 0, fault ?? 'an absolute path')
  return plain
}

function nameOf(header: Fields): string {
  const prefix = header.chars(257, 6) === 'ustar\0' ? header.text(345, 155) : ''
  return (prefix ? `${prefix}/` : '') + header.text(0, 100)
}

function extendedOf(records: Records): TreeMember['extended'] {
  const found = [...records].filter(([key]) => key.startsWith(XATTR))
  if (found.length === 0) return NO_EXTENDED
  return new Map(found.map(([key, value]) => [key.slice(XATTR.length), Buffer.from(value)]))
}

function textOf(records: Records, key: string): string | undefined {
  return records.get(key)?.toString('latin1')
}

/** A decimal number, of which the whole part is taken: times have fractions. */
function numberOf(records: Records, key: string, header: Fields): number | undefined {
  const text = textOf(records, key)
  if (text === undefined) return undefined
  if (!/^-?\d{1,15}(\.\d{1,20})?$/.test(text))
    throw header.fault('IMAGE_UNSAFE', SECTOR, `${JSON.stringify(text)} as ${key}`)
  return Math.floor(Number(text))
}

function sizeOf(header: Fields, records: Records): number {
  const size = numberOf(records, 'size', header) ?? octal(header, 124, 12)
  if (size < 0) throw header.fault('IMAGE_UNSAFE', 124, `a size of ${size} bytes`)
  return size
}

function octal(header: Fields, at: number, length: number): number {
  const digits = /^ *([0-7]*)[ \0]*$/.exec(header.chars(at, length))?.[1]
  if (digits === undefined) throw header.fault('IMAGE_UNSAFE', at, 'a field that is no number')
  return Number.parseInt(digits || '0', 8)
}

/** Of each file with several names, the first by name has it. */
function settleHardLinks(
  archive: Source,
  members: ReadonlyMap<string, StoredMember>,
): StoredMember[] {
  const names = new Map<StoredMember, StoredMember[]>()
  const alone: StoredMember[] = []
  for (const member of members.values()) {
    if (member.node.type !== 'hard link') {
      alone.push(member)
      continue
    }
    const holder = members.get(member.node.target)
    if (
      holder === undefined ||
      holder.node.type === 'hard link' ||
      holder.node.type === 'directory'
    )
      throw unsafe(archive, member.path, 'is a hard link to nothing that is in the archive')
    const all = names.get(holder) ?? [holder]
    all.push(member)
    names.set(holder, all)
  }
  const settled = alone.filter((member) => !names.has(member))
  for (const [holder, all] of names) {
    const [first = holder, ...others] = all.sort((a, b) => (a.path < b.path ? -1 : 1))
    settled.push({ ...holder, path: first.path })
    for (const { path } of others)
      settled.push({ ...holder, path, node: { type: 'hard link', target: first.path }, places: [] })
  }
  return settled
}
