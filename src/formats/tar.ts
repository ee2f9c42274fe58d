/**
 * Tar archives as they pass by: one member after the other, each told by its header before its bytes
 * come. Nothing is unpacked anywhere. Headers are checked as an archive wants it that strangers made:
 * regular files with plain names, each once; everything else is a finding.
 */
import { KiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { isTarHeader } from './_detect.ts'
import type { FindingList } from './_findings.ts'
import { SparseRuns, tarNumberOf } from './_sparse-runs.ts'

/** Members an archive may have. */
const MAX_MEMBERS = 1000
/** Records of an extended header. */
const MAX_RECORDS = 64 * KiB
/** What an extended header may say without changing what a member is. */
const HARMLESS = /^(mtime|atime|ctime|uid|gid|uname|gname|comment|charset|hdrcharset)$/

export interface TarMember {
  readonly name: string
  /** Bytes of its content. */
  readonly size: number
  /** Byte of the archive where its content begins. */
  readonly at: number
  /** Of a sparse file: its bytes with its holes, and where its content belongs. */
  readonly sparse?: { readonly size: number; readonly runs: SparseRuns }
}

/** Takes the content of one member, in order. */
export interface MemberSink {
  push(chunk: Uint8Array): void | Promise<void>
  end(): void | Promise<void>
}

export interface TarOptions {
  readonly findings: FindingList
  /** Whether sparse files of GNU's old form are taken. Default no. */
  readonly sparse?: boolean
  /** Asked at every member; undefined when its content is of no interest. */
  readonly onMember: (member: TarMember) => MemberSink | undefined
}

type State = 'header' | 'map' | 'content' | 'records' | 'padding' | 'trailer' | 'broken'

/** One pass over a tar archive that comes in chunks of any size. */
export class TarWalk {
  readonly #options: TarOptions
  readonly #names = new Set<string>()
  #state: State = 'header'
  #block = Buffer.alloc(SECTOR)
  #filled = 0
  #position = 0
  /** Bytes of the content, or of the padding, that are still to come. */
  #left = 0
  #padding = 0
  #zeroBlocks = 0
  #sink: MemberSink | undefined
  #records: Buffer[] = []
  #recordsAt = 0
  /** A sparse file whose list is not whole yet. */
  #sparse: { member: TarMember; size: number; runs: SparseRuns } | undefined
  /** From an extended header, for the next member. */
  #next: { path?: string; size?: number } = {}

  constructor(options: TarOptions) {
    this.#options = options
  }

  /** Members so far. */
  get count(): number {
    return this.#names.size
  }

  async push(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length && this.#state !== 'broken';) {
      const rest = chunk.subarray(at)
      const taken =
        this.#state === 'header' || this.#state === 'map' || this.#state === 'trailer'
          ? await this.#takeBlock(rest)
          : await this.#takeContent(rest)
      at += taken
      this.#position += taken
    }
  }

  /** The archive has ended; whether every member came whole. */
  end(): boolean {
    const { findings } = this.#options
    if (this.#state === 'broken') return false
    const isCut = this.#state !== 'trailer' && (this.#state !== 'header' || this.#filled > 0)
    if (isCut || this.#zeroBlocks < 2)
      findings.note('TRUNCATED', {
        at: this.#position,
        found: `an archive that ends ${isCut ? 'inside a member' : 'without its two empty blocks'}`,
      })
    return !isCut
  }

  async #takeBlock(bytes: Uint8Array): Promise<number> {
    const part = bytes.subarray(0, SECTOR - this.#filled)
    this.#block.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === SECTOR) {
      this.#filled = 0
      await this.#readBlock(this.#position + part.length - SECTOR)
    }
    return part.length
  }

  async #readBlock(start: number): Promise<void> {
    if (this.#state === 'map') return await this.#readMap(start)
    const isEmpty = this.#block.every((byte) => byte === 0)
    if (isEmpty) {
      if (++this.#zeroBlocks >= 2) this.#state = 'trailer'
    } else if (this.#zeroBlocks > 0)
      this.#break('UNUSED_BYTES', start, 'content behind the end of the archive')
    else await this.#readHeader(new Fields(this.#block, { name: 'tar header', start }))
  }

  /**
   * | offset | size | field                                        |
   * | ------ | ---- | -------------------------------------------- |
   * | 0      | 100  | name                                         |
   * | 124    | 12   | size: octal, or base 256 from the top bit on |
   * | 156    | 1    | type: `0` or NUL a file, `x` extended header, `S` GNU's sparse file |
   * | 157    | 100  | what a link points to                        |
   * | 345    | 155  | path before the name                         |
   */
  async #readHeader(header: Fields): Promise<void> {
    const { start } = header
    if (!isTarHeader(this.#block)) return this.#break('CHECKSUM', start + 148, 'a wrong check sum')
    const stated = tarNumberOf(header, 124)
    if (stated === undefined)
      return this.#break('HEADER_INVALID', start + 124, 'a size that is no number')
    const type = header.chars(156, 1)
    const isRecords = type === 'x'
    const size = isRecords ? stated : (this.#next.size ?? stated)
    this.#left = size
    this.#padding = (SECTOR - (size % SECTOR)) % SECTOR
    if (isRecords) {
      if (size > MAX_RECORDS)
        return this.#break('OUT_OF_RANGE', start + 124, `${size} bytes of records`)
      this.#records = []
      this.#recordsAt = start + SECTOR
      this.#state = size > 0 ? 'records' : 'header'
      return
    }
    const prefix = header.chars(257, 6) === 'ustar\0' ? header.text(345, 155, 'utf8') : ''
    const name = this.#next.path ?? (prefix ? `${prefix}/` : '') + header.text(0, 100, 'utf8')
    this.#next = {}
    this.#checkMember(name, type, start)
    if (this.#names.size >= MAX_MEMBERS)
      return this.#break('LIMIT_REACHED', start, `more than ${MAX_MEMBERS} members`)
    this.#names.add(name)
    const member = { name, size, at: start + SECTOR }
    if (type === 'S' && this.#options.sparse) await this.#readSparse(member, header)
    else await this.#beginContent(member)
  }

  async #beginContent(member: TarMember): Promise<void> {
    this.#state = 'content'
    this.#sink = this.#options.onMember(member)
    if (member.size === 0) await this.#endContent()
  }

  /**
   * In the header of a sparse file: 386 4 entries of its list, 482 1 whether more blocks of them
   * follow (21 entries, and at 504 the same flag), 483 12 bytes of the file with its holes.
   */
  async #readSparse(member: TarMember, header: Fields): Promise<void> {
    const size = tarNumberOf(header, 483)
    if (size === undefined)
      return this.#break('HEADER_INVALID', header.start + 483, 'a size that is no number')
    this.#sparse = { member, size, runs: new SparseRuns() }
    await this.#readRuns(header, 386, 4, header.u8(482) !== 0)
  }

  async #readMap(start: number): Promise<void> {
    const block = new Fields(this.#block, { name: 'list of a sparse file', start })
    await this.#readRuns(block, 0, 21, block.u8(504) !== 0)
  }

  async #readRuns(block: Fields, at: number, count: number, goesOn: boolean): Promise<void> {
    const sparse = this.#sparse
    if (sparse === undefined) return
    const { member, size, runs } = sparse
    const place = block.start + at
    const fault = runs.read(block, at, count)
    if (fault === 'too many')
      return this.#break('LIMIT_REACHED', place, 'a sparse file in too many pieces')
    if (fault === 'overlap') return this.#break('OVERLAP', place, 'runs of data that overlap')
    if (fault === 'invalid')
      return this.#break('ENTRY_INVALID', place, 'a run of data that is none')
    if (runs.end > size)
      return this.#break('OUT_OF_RANGE', place, `data up to byte ${runs.end} of ${size}`)
    if (goesOn) {
      this.#state = 'map'
      return
    }
    this.#sparse = undefined
    if (runs.total !== member.size)
      return this.#break('SIZE_MISMATCH', place, `${runs.total} bytes of data in ${member.size}`)
    await this.#beginContent({ ...member, at: block.start + SECTOR, sparse: { size, runs } })
  }

  #checkMember(name: string, type: string, at: number): void {
    const refuse = (found: string) => this.#options.findings.note('ARCHIVE_MEMBER', { at, found })
    if (type !== '0' && type !== '\0' && !(type === 'S' && this.#options.sparse))
      refuse(`${JSON.stringify(name)} of type ${JSON.stringify(type)}`)
    if (!isPlainName(name)) refuse(`the name ${JSON.stringify(name)}`)
    if (this.#names.has(name)) refuse(`a second ${JSON.stringify(name)}`)
  }

  async #takeContent(bytes: Uint8Array): Promise<number> {
    const part = bytes.subarray(0, this.#left)
    this.#left -= part.length
    if (this.#state === 'content') await this.#sink?.push(part)
    else if (this.#state === 'records') this.#records.push(Buffer.from(part))
    if (this.#left === 0) await this.#endContent()
    return part.length
  }

  async #endContent(): Promise<void> {
    if (this.#state === 'content') await this.#sink?.end()
    else if (this.#state === 'records') this.#readRecords()
    this.#sink = undefined
    if (this.#state === 'broken') return
    this.#state = this.#padding > 0 ? 'padding' : 'header'
    this.#left = this.#padding
    this.#padding = 0
  }

  /** Records of an extended header: `30 mtime=1690000000.5\n`, the number being its own length. */
  #readRecords(): void {
    const bytes = Buffer.concat(this.#records)
    for (let at = 0; at < bytes.length;) {
      const digits = /^(\d{1,6}) /.exec(bytes.toString('latin1', at, at + 8))?.[1]
      const length = Number(digits ?? 0)
      const record = /^\d+ ([^=\n]+)=([^]*)\n$/.exec(bytes.toString('utf8', at, at + length))
      if (!record || at + length > bytes.length)
        return this.#break('HEADER_INVALID', this.#recordsAt + at, 'a record that is none')
      this.#readRecord(record[1] ?? '', record[2] ?? '')
      at += length
    }
  }

  #readRecord(key: string, value: string): void {
    if (key === 'path') this.#next.path = value
    else if (key === 'size' && /^\d{1,15}$/.test(value)) this.#next.size = Number(value)
    else if (!HARMLESS.test(key))
      this.#options.findings.note('ARCHIVE_MEMBER', {
        at: this.#recordsAt,
        found: `an extended header with ${JSON.stringify(key)}`,
      })
  }

  #break(code: Parameters<FindingList['note']>[0], at: number, found: string): void {
    this.#options.findings.note(code, { at, found, severity: 'refuse' })
    this.#state = 'broken'
  }
}

/** A name without a path, hidden parts or control characters. */
export function isPlainName(name: string): boolean {
  return /^[^/\\:]+$/.test(name) && !/[\p{Cc}\p{Cs}]/u.test(name) && !/^\.{1,2}$/.test(name)
}
