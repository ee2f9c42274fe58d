import { KiB } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Asking, DiskParser, Parsing } from '../parser.ts'

const DESCRIPTOR = 2 * KiB
const FIRST = 32 * KiB
/** More than any volume has. */
const MAX_DESCRIPTORS = 64

/**
 * ISO 9660 and UDF: the descriptors of the volume, one every 2 KiB from 32 KiB on. The guest's disk is
 * the file. Source: ECMA-119, 8; ECMA-167, 3/9 and 3/10.
 */
export const isoParser: DiskParser = {
  name: 'iso',
  summary: 'ISO 9660 and UDF: images of optical discs',
  *parse(parsing) {
    const seen = yield* readDescriptors(parsing)
    if (!seen.iso && !seen.udf)
      parsing.stop('HEADER_INVALID', { at: FIRST + 1, expected: 'a volume descriptor' })
    if (!seen.iso) yield* readAnchor(parsing)
    const last = yield { at: -1, length: 1, name: 'end of the volume' }
    const size = last.start + 1
    parsing.announce({ kind: 'data', guest: 0, length: size, host: 0 })
    return { virtualSize: size }
  },
}

/** Walks the descriptors; whether one of ISO 9660 and one of UDF was among them. */
function* readDescriptors(parsing: Parsing): Asking<{ iso: boolean; udf: boolean }> {
  const seen = { iso: false, udf: false }
  for (let index = 0; index < MAX_DESCRIPTORS; index++) {
    const at = FIRST + index * DESCRIPTOR
    const descriptor = yield { at, length: DESCRIPTOR, name: 'volume descriptor' }
    const magic = descriptor.chars(1, 5)
    const type = descriptor.u8(0)
    if (magic === 'CD001' && type === 1) {
      checkPrimary(descriptor, parsing, seen.iso)
      seen.iso = true
    } else if (magic === 'CD001' && type === 255 && !seen.iso)
      parsing.stop('HEADER_INVALID', { at, expected: 'a primary volume descriptor before the end' })
    else if (magic.startsWith('NSR0')) seen.udf = true
    else if (!['CD001', 'BEA01', 'BOOT2', 'TEA01'].includes(magic)) return seen
  }
  return parsing.stop('OUT_OF_RANGE', {
    at: FIRST,
    found: `more than ${MAX_DESCRIPTORS} descriptors`,
  })
}

/**
 * | offset | size | field (both: little-endian, then big-endian)  |
 * | ------ | ---- | --------------------------------------------- |
 * | 0      | 1    | type: 1                                       |
 * | 1      | 5    | `CD001`                                       |
 * | 6      | 1    | version: 1                                    |
 * | 80     | 8    | blocks of the volume (both)                   |
 * | 128    | 4    | bytes of a block (both)                       |
 * | 156    | 34   | root directory: 2 extent (both), 10 size (both) |
 */
function checkPrimary(fields: Fields, parsing: Parsing, again: boolean): void {
  const at = (offset: number) => fields.start + offset
  if (fields.u8(6) !== 1)
    parsing.stop('FORMAT_VERSION', { at: at(6), found: String(fields.u8(6)), expected: '1' })
  for (const offset of [80, 158, 166]) checkBoth(fields, offset, 4, parsing)
  checkBoth(fields, 128, 2, parsing)
  const block = fields.u16(128)
  if (![512, 1024, 2048].includes(block))
    parsing.stop('HEADER_INVALID', { at: at(128), found: `blocks of ${block} bytes` })
  const blocks = fields.u32(80)
  if (blocks * block < FIRST + DESCRIPTOR)
    parsing.note('OUT_OF_RANGE', { at: at(80), found: `a volume of ${blocks} blocks` })
  const rootEnd = fields.u32(158) + Math.ceil(fields.u32(166) / block)
  if (fields.u8(156) === 0) parsing.note('ODD', { at: at(156), found: 'no root directory' })
  else if (rootEnd > blocks)
    parsing.note('OUT_OF_RANGE', {
      at: at(156),
      found: `a root directory up to block ${rootEnd}`,
      expected: `at most ${blocks}`,
    })
  if (!again) parsing.claim(0, blocks * block, 'volume', at(80))
}

/** A number that stands in both orders must be one number. */
function checkBoth(fields: Fields, offset: number, size: 2 | 4, parsing: Parsing): void {
  const little = size === 2 ? fields.u16(offset) : fields.u32(offset)
  const bytes = Buffer.from(fields.slice(offset + size, size))
  const big = size === 2 ? bytes.readUInt16BE() : bytes.readUInt32BE()
  if (little !== big)
    parsing.note('COPIES_DIFFER', {
      at: fields.start + offset,
      found: `${little} little-endian, ${big} big-endian`,
    })
}

/**
 * Pure UDF: the anchor in block 256, whatever the size of a block. Tag: 0 identifier 2, 4 sum of its
 * other 15 bytes; 16 length and 20 block of the volume's descriptors.
 */
function* readAnchor(parsing: Parsing): Asking<void> {
  for (const block of [512, 1024, 2048, 4096]) {
    const at = 256 * block
    if (parsing.fileSize !== undefined && at + 512 > parsing.fileSize) break
    const anchor = yield { at, length: 512, name: 'anchor of the volume' }
    let sum = 0
    for (let byte = 0; byte < 16; byte++) sum += byte === 4 ? 0 : anchor.u8(byte)
    if (anchor.u16(0) !== 2 || sum % 256 !== anchor.u8(4)) continue
    parsing.claim(0, (anchor.u32(20) + 1) * block + anchor.u32(16) - block, 'volume', at + 16)
    return
  }
  parsing.stop('HEADER_INVALID', { at: FIRST, expected: 'an anchor in block 256 of the volume' })
}
