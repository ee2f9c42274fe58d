/**
 * VHDX: two headers and two region tables in the first MiB, then regions (the block table, metadata),
 * a log, and blocks, each at a whole MiB. Files with a log that waits to be replayed are refused, as
 * are those that have a parent.
 *
 * Source: Microsoft, MS-VHDX: Virtual Hard Disk v2 (VHDX) File Format.
 */
import { MiB } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import { type Asking, type DiskParser, MAX_ASK, type Parsing } from '../parser.ts'
import { DataRuns } from './_data-runs.ts'
import { readVhdxHeaders } from './_vhdx-headers.ts'
import { readVhdxMetadata, type VhdxGeometry } from './_vhdx-metadata.ts'
import { readVhdxRegions, type Region } from './_vhdx-regions.ts'

/**
 * States of a block: absent, undefined, zero and unmapped are 0 to 3, and read as zeros whatever
 * offset they have; 6 is present; 7, partly present, needs a parent.
 */
const LAST_WITHOUT_BYTES = 3
const PRESENT = 6
const STATE = 0x7
const RESERVED = 0xffff8

export const vhdxParser: DiskParser = {
  name: 'vhdx',
  summary: 'Hyper-V: fixed and dynamic, closed cleanly',
  *parse(parsing) {
    const identifier = yield { at: 0, length: 8, name: 'file type identifier' }
    if (!identifier.holds(0, 'vhdxfile'))
      parsing.stop('HEADER_INVALID', {
        at: 0,
        expected: 'vhdxfile',
        found: JSON.stringify(identifier.chars(0, 8)),
      })
    parsing.claim(0, MiB, 'headers', 0)
    yield* readVhdxHeaders(parsing)
    const { bat, metadata } = yield* readVhdxRegions(parsing)
    const geometry = yield* readVhdxMetadata(parsing, metadata)
    yield* readBlockTable(parsing, bat, geometry)
    return { virtualSize: geometry.virtualSize }
  },
}

/**
 * Goes through the block table: 8 bytes for each block, and after as many blocks as one bitmap of
 * 2^23 sectors covers, 8 bytes for that bitmap, which only disks with a parent have. Bits 0 to 2 are
 * the state, bits 20 to 63 the offset in MiB, the others reserved.
 */
function* readBlockTable(parsing: Parsing, region: Region, geometry: VhdxGeometry): Asking<void> {
  const { virtualSize, blockSize, logicalSector } = geometry
  const ratio = (2 ** 23 * logicalSector) / blockSize
  const blocks = Math.ceil(virtualSize / blockSize)
  const entries = blocks + Math.floor(Math.max(blocks - 1, 0) / ratio)
  if (region.length < entries * 8)
    parsing.stop('TABLE_TOO_SMALL', {
      at: region.from + 24,
      expected: `${entries * 8} bytes for ${blocks} blocks`,
      found: `${region.length}`,
    })
  const runs = new DataRuns(parsing, 'block')
  for (let done = 0; done < entries * 8; done += MAX_ASK) {
    const length = Math.min(MAX_ASK, entries * 8 - done)
    const part = yield { at: region.offset + done, length, name: 'block table' }
    readPart(parsing, part, { first: done / 8, ratio, blockSize, virtualSize, runs })
  }
  runs.flush()
}

function readPart(
  parsing: Parsing,
  part: Fields,
  table: {
    readonly first: number
    readonly ratio: number
    readonly blockSize: number
    readonly virtualSize: number
    readonly runs: DataRuns
  },
): void {
  const { first, ratio, blockSize, virtualSize, runs } = table
  const { bytes } = part
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; at += 8) {
    const low = view.getUint32(at, true)
    const high = view.getUint32(at + 4, true)
    const index = first + at / 8
    const from = part.start + at
    const isBitmap = index % (ratio + 1) === ratio
    const isValid = isBitmap ? low === 0 && high === 0 : isBlock(low)
    if (!isValid)
      parsing.note('ENTRY_INVALID', {
        at: from,
        expected: isBitmap ? 'no bitmap, for there is no parent' : 'a block that is there or not',
        found: `0x${view.getBigUint64(at, true).toString(16)}`,
      })
    if (!isValid || (low & STATE) !== PRESENT) continue
    const host = high * 2 ** 32 + (low - (low % MiB))
    const guest = (index - Math.floor(index / (ratio + 1))) * blockSize
    const length = Math.min(blockSize, virtualSize - guest)
    runs.add(guest, host, length, from)
  }
}

/** Whether the lower half of an entry has a state that a block can have, and no reserved bits. */
function isBlock(low: number): boolean {
  const state = low & STATE
  return (low & RESERVED) === 0 && (state <= LAST_WITHOUT_BYTES || state === PRESENT)
}
