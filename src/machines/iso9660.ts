import { Failure } from '../base/failure.ts'

/** A file for the top directory of an ISO image. */
export interface IsoFile {
  name: string
  content: Uint8Array
}

const BLOCK = 2048
/** The system area before the first volume descriptor, which is for others. */
const FIRST_DESCRIPTOR = 16
const MAX_CONTENT = 64 * 1024 * 1024
/** An image is a function of its files: every date in it is this one. */
const YEAR = 2000

/**
 * An ISO 9660 image with Joliet names, of a few files in one directory: the same files give the
 * same bytes. Names keep their case (`meta-data`) for whoever reads Joliet, as Linux and Windows do.
 * Fails with USAGE when a name is not of 1 to 64 letters, digits and `._+-`, or comes twice, the
 * label is not of 1 to 16 printable ASCII characters, or there is more than 64 MiB.
 * Source: ECMA-119 (4th edition); Joliet Specification (1995).
 *
 * | block | what                                              |
 * | ----- | ------------------------------------------------- |
 * | 0     | nothing                                           |
 * | 16    | primary descriptor: label, size, plain names      |
 * | 17    | supplementary descriptor: the same, Joliet names  |
 * | 18    | end of the descriptors                            |
 * | 19-22 | path tables: plain LE, BE, Joliet LE, BE          |
 * | 23    | plain directory; then Joliet directory; files     |
 */
export function makeIso9660(label: string, files: readonly IsoFile[]): Uint8Array {
  checkNames(label, files)
  const sorted = files.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const plainNames = sorted.map((_, index) =>
    Buffer.from(`FILE${String(index).padStart(4, '0')}.;1`),
  )
  const jolietNames = sorted.map(({ name }) => ucs2(name))
  const plainRoot = FIRST_DESCRIPTOR + 7
  const jolietRoot = plainRoot + directoryBlocks(plainNames)
  let next = jolietRoot + directoryBlocks(jolietNames)
  const extents = sorted.map(({ content }) => {
    const extent = { block: next, size: content.length }
    next += Math.ceil(content.length / BLOCK)
    return extent
  })

  const image = Buffer.alloc(next * BLOCK)
  const put = (block: number, bytes: Uint8Array) => image.set(bytes, block * BLOCK)
  const trees = [
    { type: 1, names: plainNames, root: plainRoot, tables: FIRST_DESCRIPTOR + 3 },
    { type: 2, names: jolietNames, root: jolietRoot, tables: FIRST_DESCRIPTOR + 5 },
  ] as const
  for (const { type, names, root, tables } of trees) {
    const extent = { block: root, size: directoryBlocks(names) * BLOCK }
    put(FIRST_DESCRIPTOR + type - 1, descriptor(type, label, next, tables, extent))
    put(tables, pathTable(root, 'LE'))
    put(tables + 1, pathTable(root, 'BE'))
    put(root, directory(names, extents, extent))
  }
  put(FIRST_DESCRIPTOR + 2, Buffer.from('\xffCD001\x01', 'latin1'))
  for (const [index, { content }] of sorted.entries()) put(extents[index]!.block, content)
  return image
}

interface Extent {
  block: number
  /** Bytes. */
  size: number
}

function checkNames(label: string, files: readonly IsoFile[]): void {
  const wrong = files.find(({ name }) => !/^[\w.+-]{1,64}$/.test(name))
  if (wrong) throw new Failure('USAGE', `'${wrong.name}' cannot be a file name in an ISO image`)
  if (!/^[ -~]{1,16}$/.test(label))
    throw new Failure('USAGE', `'${label}' cannot be the label of an ISO image`)
  if (new Set(files.map(({ name }) => name)).size < files.length)
    throw new Failure('USAGE', 'two files of an ISO image have the same name')
  const total = files.reduce((sum, { content }) => sum + content.length, 0)
  if (total > MAX_CONTENT || files.length > 1000)
    throw new Failure('USAGE', `${files.length} files of ${total} bytes are too much for a seed`)
}

/**
 * | offset | size | field                                        |
 * | ------ | ---- | -------------------------------------------- |
 * | 0      | 1    | type: 1 primary, 2 supplementary             |
 * | 1      | 6    | `CD001`, version 1                           |
 * | 8      | 32   | system, empty                                |
 * | 40     | 32   | label                                        |
 * | 80     | 8    | blocks of the volume (LE, BE)                |
 * | 88     | 3    | escape `%/E`: Joliet level 3                 |
 * | 120    | 4    | volumes in the set: 1 (LE, BE)               |
 * | 124    | 4    | number of this volume: 1 (LE, BE)            |
 * | 128    | 4    | block size (LE, BE)                          |
 * | 132    | 8    | size of a path table (LE, BE)                |
 * | 140    | 4    | block of the path table, LE                  |
 * | 148    | 4    | block of the path table, BE                  |
 * | 156    | 34   | record of the top directory                  |
 * | 190    | 623  | names of people and files, empty             |
 * | 813    | 68   | dates: made, changed, expires, valid from    |
 * | 881    | 1    | version 1                                    |
 */
function descriptor(
  type: 1 | 2,
  label: string,
  blocks: number,
  tables: number,
  root: Extent,
): Buffer {
  const text = (value: string, size: number) =>
    type === 1
      ? Buffer.from(value.padEnd(size))
      : Buffer.concat([ucs2(value.padEnd(size >> 1))], size)
  const block = Buffer.alloc(BLOCK)
  block.write(`${String.fromCharCode(type)}CD001\x01`, 0, 'latin1')
  text('', 32).copy(block, 8)
  text(label, 32).copy(block, 40)
  bothEndian32(blocks).copy(block, 80)
  if (type === 2) block.write('%/E', 88)
  bothEndian16(1).copy(block, 120)
  bothEndian16(1).copy(block, 124)
  bothEndian16(BLOCK).copy(block, 128)
  bothEndian32(pathTable(root.block, 'LE').length).copy(block, 132)
  block.writeUInt32LE(tables, 140)
  block.writeUInt32BE(tables + 1, 148)
  record(Buffer.from([0]), root, true).copy(block, 156)
  for (const [offset, size] of [
    [190, 128],
    [318, 128],
    [446, 128],
    [574, 128],
    [702, 37],
    [739, 37],
    [776, 37],
  ] as const)
    text('', size).copy(block, offset)
  const never = '0'.repeat(16)
  const made = `${YEAR}0101${'0'.repeat(8)}`
  for (const [index, date] of [made, made, never, made].entries())
    block.write(`${date}\0`, 813 + 17 * index, 'latin1')
  block[881] = 1
  return block
}

/** The one entry of a path table: the top directory, its own parent. */
function pathTable(root: number, order: 'LE' | 'BE'): Buffer {
  const table = Buffer.alloc(10)
  table[0] = 1
  if (order === 'LE') table.writeUInt32LE(root, 2)
  else table.writeUInt32BE(root, 2)
  if (order === 'LE') table.writeUInt16LE(1, 6)
  else table.writeUInt16BE(1, 6)
  return table
}

/** Records of a directory, of which none may cross the end of a block. */
function directory(names: readonly Buffer[], extents: readonly Extent[], self: Extent): Buffer {
  const content = Buffer.alloc(self.size)
  const records = [
    record(Buffer.from([0]), self, true),
    record(Buffer.from([1]), self, true),
    ...names.map((name, index) => record(name, extents[index]!, false)),
  ]
  for (const { offset, index } of places(records.map(({ length }) => length)))
    records[index]!.copy(content, offset)
  return content
}

function directoryBlocks(names: readonly Buffer[]): number {
  const lengths = [34, 34, ...names.map(recordLength)]
  const last = places(lengths).at(-1)
  return Math.ceil(((last?.offset ?? 0) + (lengths.at(-1) ?? 0)) / BLOCK)
}

function places(lengths: readonly number[]): { offset: number; index: number }[] {
  let offset = 0
  return lengths.map((length, index) => {
    if ((offset % BLOCK) + length > BLOCK) offset = Math.ceil(offset / BLOCK) * BLOCK
    const place = { offset, index }
    offset += length
    return place
  })
}

function recordLength(name: Buffer): number {
  return 33 + name.length + ((name.length + 1) % 2)
}

/**
 * | offset | size | field                                      |
 * | ------ | ---- | ------------------------------------------ |
 * | 0      | 1    | length of the record, even                 |
 * | 2      | 8    | first block (LE, BE)                       |
 * | 10     | 8    | size (LE, BE)                              |
 * | 18     | 7    | years since 1900, month, day, time, zone   |
 * | 25     | 1    | flags: 2 is a directory                    |
 * | 28     | 4    | number of the volume (LE, BE)              |
 * | 32     | 1    | length of the name                         |
 * | 33     |      | name: 00 this directory, 01 its parent     |
 */
function record(name: Buffer, { block, size }: Extent, isDirectory: boolean): Buffer {
  const bytes = Buffer.alloc(recordLength(name))
  bytes[0] = bytes.length
  bothEndian32(block).copy(bytes, 2)
  bothEndian32(size).copy(bytes, 10)
  bytes.set([YEAR - 1900, 1, 1], 18)
  bytes[25] = isDirectory ? 2 : 0
  bothEndian16(1).copy(bytes, 28)
  bytes[32] = name.length
  name.copy(bytes, 33)
  return bytes
}

function bothEndian16(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(value, 0)
  bytes.writeUInt16BE(value, 2)
  return bytes
}

function bothEndian32(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(value, 0)
  bytes.writeUInt32BE(value, 4)
  return bytes
}

function ucs2(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}
