import { KiB, MiB, SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Parsing } from '../parser.ts'
import { checkSum, hex, isAbsent, MAX_VHD_SIZE } from './_vhd-footer.ts'

export const HEADER_SIZE = 1024
const COOKIE = 'cxsparse'
const VERSION = 0x00010000
/** Tools write blocks of 2 MiB, or 512 KiB for small disks. */
const BLOCK_SIZES = { least: 64 * KiB, most: 256 * MiB }
/** Of 2 MiB blocks, the largest disk has 4 MiB of table. */
const MAX_TABLE_SIZE = 32 * MiB
const LOCATORS = { at: 576, count: 8, size: 24 }

export interface VhdHeader {
  readonly tableOffset: number
  /** Entries of the table; no fewer than the disk has blocks. */
  readonly entries: number
  readonly blockSize: number
  /** Blocks that the disk has. */
  readonly blocks: number
  /** Where the header stands, for findings. */
  readonly start: number
}

/**
 * Checks the header of a dynamic disk of `size` bytes.
 *
 * | offset   | size      | field (big-endian)                                    |
 * | -------- | --------- | ----------------------------------------------------- |
 * | 0        | 8         | `cxsparse`                                            |
 * | 8        | 8         | unused, all ones                                      |
 * | 16       | 8         | offset of the block table                             |
 * | 24       | 4         | version, 1.0                                          |
 * | 28, 32   | 4, 4      | entries of the table; bytes of a block                |
 * | 36       | 4         | check sum                                             |
 * | 40, 56   | 16, 4     | parent: identifier, time                              |
 * | 64       | 512       | parent: name, UTF-16                                  |
 * | 576      | 8 times 24| parent: where platforms find it                       |
 * | 768      | 256       | reserved                                              |
 */
export function readVhdHeader(parsing: Parsing, header: Fields, size: number): VhdHeader {
  const at = (offset: number) => header.start + offset
  if (!header.holds(0, COOKIE))
    parsing.stop('HEADER_INVALID', {
      at: at(0),
      expected: `a dynamic header (${COOKIE})`,
      found: JSON.stringify(header.chars(0, 8)),
    })
  if (header.u32(24) !== VERSION)
    parsing.stop('FORMAT_VERSION', {
      at: at(24),
      expected: hex(VERSION),
      found: hex(header.u32(24)),
    })
  checkSum(parsing, header, 36, 'dynamic header')
  if (!isAbsent(header.u64(8)))
    parsing.note('UNKNOWN_FEATURE', { at: at(8), expected: 'all ones', found: hex(header.u64(8)) })
  checkParent(parsing, header)
  if (header.slice(768, 256).some((byte) => byte !== 0))
    parsing.note('ODD', { at: at(768), found: 'reserved bytes of the dynamic header are in use' })
  return readTable(parsing, header, size)
}

/** Anything that tells of a parent, whatever the type of the disk says. */
function checkParent(parsing: Parsing, header: Fields): void {
  const says = (offset: number, length: number, found: string) => {
    if (header.slice(offset, length).some((byte) => byte !== 0))
      parsing.note('PARENT', { at: header.start + offset, found })
  }
  says(40, 16, 'the identifier of a parent')
  says(64, 512, 'the name of a parent')
  for (let index = 0; index < LOCATORS.count; index++)
    says(LOCATORS.at + index * LOCATORS.size, LOCATORS.size, `locator ${index} of a parent`)
}

function readTable(parsing: Parsing, header: Fields, size: number): VhdHeader {
  const at = (offset: number) => header.start + offset
  const blockSize = header.u32(32)
  const { least, most } = BLOCK_SIZES
  if (blockSize < least || blockSize > most || (blockSize & (blockSize - 1)) !== 0)
    parsing.stop('OUT_OF_RANGE', {
      at: at(32),
      expected: `blocks of ${least} to ${most} bytes, a power of two`,
      found: `${blockSize}`,
    })
  const entries = header.u32(28)
  const blocks = Math.ceil(size / blockSize)
  if (entries < blocks)
    parsing.stop('TABLE_TOO_SMALL', {
      at: at(28),
      expected: `an entry for each of ${blocks} blocks`,
      found: `${entries}`,
    })
  if (entries > Math.ceil(MAX_VHD_SIZE / blockSize) || entries * 4 > MAX_TABLE_SIZE)
    parsing.stop('TABLE_TOO_LARGE', {
      at: at(28),
      expected: `an entry for each of ${blocks} blocks`,
      found: `${entries}`,
    })
  const tableOffset = header.size(16)
  if (tableOffset % SECTOR !== 0)
    parsing.stop('MISALIGNED', {
      at: at(16),
      expected: 'a multiple of 512',
      found: `${tableOffset}`,
    })
  return { tableOffset, entries, blockSize, blocks, start: header.start }
}
