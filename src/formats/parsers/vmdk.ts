/**
 * VMDK in one file: monolithicSparse (header, descriptor, directories and tables, grains) and
 * streamOptimized (compressed grains behind markers), each with its directory in front or with a footer
 * that tells where it is. Whatever would be spread over other files is
 * refused; texts that only describe a disk are another parser's.
 *
 * Source: VMware, Virtual Disk Format 5.0.
 */
import { SECTOR } from '../../base/units.ts'
import type { Asking, DiskParser, Parsing } from '../parser.ts'
import { parseVmdkDescriptor, type VmdkDescriptor } from './_vmdk-descriptor.ts'
import { readPackedGrains, readPlainGrains } from './_vmdk-grains.ts'
import { readVmdkHeader, type VmdkHeader } from './_vmdk-header.ts'
import { readVmdkStream } from './_vmdk-stream.ts'

export const vmdkParser: DiskParser = {
  name: 'vmdk',
  summary: 'VMware, VirtualBox: monolithicSparse and streamOptimized',
  *parse(parsing) {
    const head = yield { at: 0, length: SECTOR, name: 'sparse header' }
    const header = readVmdkHeader(parsing, head)
    parsing.claim(0, SECTOR, 'sparse header', 0)
    yield* readDescriptor(parsing, header)
    const hasTables = (header.directory ?? header.redundantDirectory) !== undefined
    if (!header.compressed) yield* readPlainGrains(parsing, { header, head })
    else if (hasTables) yield* readPackedGrains(parsing, { header, head })
    else yield* readVmdkStream(parsing, header, head)
    return { virtualSize: header.virtualSize }
  },
}

/** Programs that do not stop at the end of the text would believe what follows. */
function noteMore(parsing: Parsing, text: string, at: number): void {
  parsing.note('ODD', { at, found: 'more text behind the descriptor' })
  const faults = text
    .split('\0')
    .flatMap((part) => parseVmdkDescriptor(part, { embedded: true }).faults)
  for (const { code, found } of faults)
    if (code === 'EXTERNAL_REFERENCE' || code === 'PARENT')
      parsing.note(code, { at, ...(found && { found }) })
}

function* readDescriptor(parsing: Parsing, header: VmdkHeader): Asking<void> {
  const { offset, length } = header.descriptor
  if (!parsing.claim(offset, length, 'descriptor', 28)) return
  const fields = yield { at: offset, length, name: 'descriptor' }
  const text = fields.text(0, length)
  const rest = fields.chars(text.length, length - text.length).replace(/^\0+|\0+$/g, '')
  // QEMU writes a shorter text over a longer one: what is left over is the end of it once more.
  if (!text.endsWith(rest)) noteMore(parsing, rest, offset + text.length)
  const descriptor = parseVmdkDescriptor(text, { embedded: true })
  for (const { at, code, ...about } of descriptor.faults)
    parsing.note(code, { at: offset + at, ...about })
  compareWithHeader(parsing, header, descriptor)
}

/** What header and descriptor both say. */
function compareWithHeader(parsing: Parsing, header: VmdkHeader, descriptor: VmdkDescriptor): void {
  const { createType } = descriptor
  const expected = header.compressed ? 'streamOptimized' : 'monolithicSparse'
  if (createType !== undefined && createType.toLowerCase() !== expected.toLowerCase())
    parsing.note('FORMAT_UNSUPPORTED', {
      at: header.descriptor.offset,
      expected: `createType ${expected}`,
      found: JSON.stringify(createType.slice(0, 64)),
    })
  const [extent] = descriptor.extents
  if (extent && extent.sectors * SECTOR !== header.virtualSize)
    parsing.note('SIZE_MISMATCH', {
      at: header.descriptor.offset + extent.at,
      expected: `${header.virtualSize / SECTOR} sectors, as the header says`,
      found: `${extent.sectors}`,
    })
}
