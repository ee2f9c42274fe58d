import { readFile } from 'node:fs/promises'
import { describe } from 'node:test'
import { MiB } from '../../base/units.ts'
import type { FindingCode } from '../finding.ts'
import { refusals } from '../../testing/parse-image.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { HEADERS, REGIONS, sealVhdx } from '../../testing/vhdx-image.ts'
import { vhdxParser } from './vhdx.ts'

const { converted, created } = await qemuImages('vhdx', sampleDisk(8 * MiB + 512))

/** The first header, which is in force, and the region table. */
const [HEADER] = HEADERS
const [REGION] = REGIONS
/** In a region table: offsets of the entries of the block table and of the metadata. */
const [BAT_ENTRY, METADATA_ENTRY] = [REGION + 16, REGION + 48]
/** Where qemu-img puts things, with blocks of 1 MiB. */
const BAT = 2 * MiB
const METADATA = 3 * MiB
/** Entries of the metadata table, in qemu-img's order, and room for one more. */
const ENTRY = { parameters: 32, size: 64, identifier: 96, logical: 128, physical: 160, more: 192 }
/** The items. */
const ITEM = METADATA + 0x10000
const [PARAMETERS, SIZE, LOGICAL, PHYSICAL] = [ITEM, ITEM + 8, ITEM + 32, ITEM + 36]

const STRANGE = 'ab'.repeat(16)
const GUID = {
  bat: '6677c22d23f600429d64115e9bfd4a08',
  parent: '2d5fd3a80bb34d45abf7d3d84834ab0c',
  identifier: 'ab12cabee6b2234593efc309e000c746',
}

/** An entry of a region table: a MiB at 4 MiB. */
function regionEntry(guid: string, required: string): string {
  return `${guid}0000400000000000000010000${required}000000`
}
/** An entry of a metadata table: 16 bytes at `offset`, the upper half of the number. */
function itemEntry(guid: string, flags: string, offset = '0000'): string {
  return `${guid}0000${offset}100000000${flags}000000`
}

const good = converted('-o', 'block_size=1M').then(async (path) => {
  const image = await readFile(path)
  image.writeBigUInt64LE(2n ** 63n, HEADER + 8)
  sealVhdx(image)
  return image
})

describe('refuses a VHDX', () => {
  const { broken, changed, refused } = refusals(vhdxParser, good, sealVhdx)

  describe('by its headers:', () => {
    broken('no signature', 'HEADER_INVALID', 0, '00')
    refused('no header', 'HEADER_INVALID', HEADER, () =>
      changed([
        [HEADERS[0], '00'],
        [HEADERS[1], '00'],
      ]),
    )
    refused('no check sum', 'HEADER_INVALID', HEADER, async () => {
      const image = Buffer.from(await good)
      for (const at of HEADERS) image.writeUInt8(1, at + 4000)
      return image
    })
    broken('another version', 'FORMAT_VERSION', HEADER + 66, '02')
    broken('another log', 'FORMAT_VERSION', HEADER + 64, '01')
    broken('a log to be replayed', 'DIRTY', HEADER + 63, '01', HEADER + 48)
    broken('a log of no bytes', 'MISALIGNED', HEADER + 68, '00000000')
    broken('a log of odd length', 'MISALIGNED', HEADER + 68, '00100000')
    broken('a log at an odd place', 'MISALIGNED', HEADER + 73, '10', HEADER + 68)
    broken('a log in the headers', 'OVERLAP', HEADER + 72, '00000000')
    broken('a log in the block table', 'OVERLAP', HEADER + 72, '00002000', BAT_ENTRY + 16)
    broken('a log behind the end', 'TRUNCATED', HEADER + 77, '01', HEADER + 72)
    broken('two headers with one number', 'COPIES_DIFFER', HEADERS[1] + 8, '0000000000000080')
  })

  describe('by its regions:', () => {
    /** An entry more, which the copy has not. */
    const added = (title: string, code: FindingCode, entry: string) =>
      refused(title, code, REGION + 80, () =>
        changed([
          [REGION + 8, '03'],
          [REGION + 80, entry],
        ]),
      )
    broken('no table', 'HEADER_INVALID', REGION, '00')
    refused('no check sum', 'CHECKSUM', REGIONS[1] + 4, async () => {
      const image = Buffer.from(await good)
      image.writeUInt8(1, REGIONS[1] + 60000)
      return image
    })
    broken('tables that differ', 'COPIES_DIFFER', REGIONS[1] + 36, '01')
    broken('too many', 'TABLE_TOO_LARGE', REGION + 8, '0008')
    broken('none', 'HEADER_INVALID', REGION + 8, '00')
    added('one nobody knows', 'UNKNOWN_FEATURE', regionEntry(STRANGE, '1'))
    added('one twice', 'HEADER_INVALID', regionEntry(GUID.bat, '1'))
    broken('unknown flags', 'ENTRY_INVALID', BAT_ENTRY + 28, '03')
    broken('one at an odd place', 'MISALIGNED', BAT_ENTRY + 17, '02', BAT_ENTRY + 16)
    broken('one of odd length', 'MISALIGNED', BAT_ENTRY + 24, '00100000', BAT_ENTRY + 16)
    broken('one of no bytes', 'MISALIGNED', BAT_ENTRY + 24, '00000000', BAT_ENTRY + 16)
    broken('one behind the end', 'TRUNCATED', BAT_ENTRY + 21, '01', BAT_ENTRY + 16)
    broken('one beyond 2^53', 'OUT_OF_RANGE', BAT_ENTRY + 23, '01', BAT_ENTRY + 16)
    broken('one in the headers', 'OVERLAP', BAT_ENTRY + 16, '00000000')
    broken('two in one place', 'OVERLAP', METADATA_ENTRY + 18, '20', METADATA_ENTRY + 16)
  })

  describe('by its metadata:', () => {
    const more = METADATA + ENTRY.more
    const added = (title: string, code: FindingCode, at: number, entry: string) =>
      refused(title, code, at, () =>
        changed([
          [METADATA + 10, '06'],
          [more, entry],
        ]),
      )
    broken('none', 'HEADER_INVALID', METADATA, '00')
    broken('too many items', 'TABLE_TOO_LARGE', METADATA + 10, '0008')
    added('an item nobody knows', 'UNKNOWN_FEATURE', more, itemEntry(STRANGE, '4', '0200'))
    added('the locator of a parent', 'PARENT', more, itemEntry(GUID.parent, '0', '0200'))
    added('an item twice', 'ENTRY_INVALID', more, itemEntry(GUID.identifier, '6', '0200'))
    added('unknown flags', 'ENTRY_INVALID', more + 24, itemEntry(STRANGE, '8', '0200'))
    added('two items in one place', 'OVERLAP', more + 16, itemEntry(STRANGE, '0', '0100'))
    added('an item in the table', 'OUT_OF_RANGE', more + 16, itemEntry(STRANGE, '0'))
    added('an item behind the region', 'OUT_OF_RANGE', more + 16, itemEntry(STRANGE, '0', '1000'))
    for (const [name, entry] of Object.entries(ENTRY).slice(0, 5)) {
      const at = METADATA + entry
      broken(`no ${name}`, 'HEADER_INVALID', at, `${STRANGE}00000200100000000`, METADATA)
      broken(`a ${name} of another length`, 'ENTRY_INVALID', at + 20, '03')
      broken(`a ${name} that a user could have made`, 'ENTRY_INVALID', at + 24, '07', at + 20)
    }
    for (const size of ['00000000', '00000800', '00003000', '00000020'])
      broken(`blocks of 0x${size} (reversed) bytes`, 'OUT_OF_RANGE', PARAMETERS, size)
    broken('a parent', 'PARENT', PARAMETERS + 4, '02')
    broken('unknown parameters', 'UNKNOWN_FEATURE', PARAMETERS + 4, '04')
    broken('logical sectors of 1 KiB', 'OUT_OF_RANGE', LOGICAL, '0004')
    broken('physical sectors of 1 KiB', 'OUT_OF_RANGE', PHYSICAL, '0004')
    broken('half a sector', 'HEADER_INVALID', SIZE, '01')
    broken('512 bytes where sectors have 4096', 'HEADER_INVALID', LOGICAL, '0010', SIZE)
    broken('more than 64 TiB', 'SIZE_LIMIT', SIZE + 5, '41', SIZE)
    broken('a size beyond 2^53', 'OUT_OF_RANGE', SIZE + 7, '80', SIZE)
    broken('a size beyond its table', 'TABLE_TOO_SMALL', SIZE + 5, '01', BAT_ENTRY + 24)
  })

  describe('by its blocks:', () => {
    broken('an unknown state', 'ENTRY_INVALID', BAT, '0400400000000000')
    broken('a state of drafts of the format', 'ENTRY_INVALID', BAT, '0500400000000000')
    broken('one that is partly there', 'ENTRY_INVALID', BAT, '0700400000000000')
    broken('reserved bits', 'ENTRY_INVALID', BAT, '0600480000000000')
    broken('one in the headers', 'OVERLAP', BAT, '0600000000000000')
    broken('one in the block table', 'OVERLAP', BAT, '0600200000000000')
    broken('one behind the end', 'TRUNCATED', BAT, '0600000000200000')
    broken('one beyond 2^53', 'OUT_OF_RANGE', BAT, '0600000000000080')
    broken('one twice', 'OVERLAP', BAT + 8, '0600800000000000')
    refused('a bitmap, which only a difference has', 'ENTRY_INVALID', BAT + 4096 * 8, async () => {
      const image = await readFile(await created('5G', '-o', 'block_size=1M'))
      image.writeUInt32LE(6, BAT + 4096 * 8)
      return image
    })
    refused('one that is cut', 'TRUNCATED', undefined, async () =>
      (await good).subarray(0, (await good).length - MiB - 4096),
    )
    refused('a table that is cut', 'TRUNCATED', METADATA_ENTRY + 16, async () =>
      (await good).subarray(0, BAT + 10),
    )
  })
})
