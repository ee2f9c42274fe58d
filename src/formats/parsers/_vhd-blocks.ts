import { SECTOR } from '../../base/units.ts'
import { type Asking, MAX_ASK, type Parsing } from '../parser.ts'
import { PlaceList } from './_place-list.ts'
import type { VhdHeader } from './_vhd-header.ts'

const ABSENT = 0xffffffff
const ONES = Buffer.alloc(MAX_ASK / 16, 0xff)
/** Runs of sectors that are believed; tools leave a few, a bitmap of 512 bytes could hold 2048. */
const MAX_RUNS = 1024 * 1024

/**
 * Goes through the table of a dynamic disk and the bitmaps before its blocks, in the order of the
 * file, so that a stream is read once.
 *
 * A table entry is the sector of a block, all ones if there is none. A block is a bitmap, one bit for
 * each of its sectors, the highest bit of the first byte first, padded to a whole sector; then the
 * sectors. One whose bit is clear reads as zeros.
 */
export function* readVhdBlocks(parsing: Parsing, header: VhdHeader, size: number): Asking<void> {
  const { blockSize } = header
  const places = yield* readTable(parsing, header)
  const bitmapSize = Math.ceil(blockSize / SECTOR / 8 / SECTOR) * SECTOR
  const runs = { count: 0, leftOut: false }
  for (const { sector, index: block } of places.byPlace()) {
    const guest = block * blockSize
    const used = Math.min(blockSize, size - guest)
    const host = sector * SECTOR
    if (!parsing.claim(host, bitmapSize + used, 'block', header.tableOffset + block * 4)) continue
    const bitmap = yield { at: host, length: bitmapSize, name: 'bitmap of a block', order: 'big' }
    const data = host + bitmapSize
    if (isFull(bitmap.bytes, used / SECTOR)) {
      parsing.announce({ kind: 'data', guest, length: used, host: data })
      continue
    }
    noteLeftOut(parsing, runs, host)
    for (const { start, end } of runsOf(bitmap.bytes, used / SECTOR)) {
      if (++runs.count > MAX_RUNS)
        parsing.stop('LIMIT_REACHED', { at: host, found: 'blocks in too many scattered pieces' })
      const offset = start * SECTOR
      parsing.announce({
        kind: 'data',
        guest: guest + offset,
        length: end * SECTOR - offset,
        host: data + offset,
      })
    }
  }
}

/** The blocks that exist. Entries behind the last block of the disk must be empty. */
function* readTable(parsing: Parsing, header: VhdHeader): Asking<PlaceList> {
  const { tableOffset, entries, blocks, start } = header
  const places = new PlaceList()
  const length = entries * 4
  const claimed = Math.ceil(length / SECTOR) * SECTOR
  if (!parsing.claim(tableOffset, claimed, 'block table', start + 16)) return places
  for (let done = 0; done < length; done += MAX_ASK) {
    const part = yield {
      at: tableOffset + done,
      length: Math.min(MAX_ASK, length - done),
      name: 'block table',
      order: 'big',
    }
    const { bytes } = part
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at < bytes.length; at += 4) {
      const sector = view.getUint32(at)
      if (sector === ABSENT) continue
      const index = (done + at) / 4
      if (index < blocks) places.add(sector, index)
      else
        parsing.note('OUT_OF_RANGE', {
          at: part.start + at,
          expected: `no block, for the disk has ${blocks}`,
          found: `block ${index} in sector ${sector}`,
        })
    }
  }
  return places
}

function noteLeftOut(parsing: Parsing, runs: { leftOut: boolean }, at: number): void {
  if (!runs.leftOut)
    parsing.note('ODD', {
      at,
      severity: 'info',
      found: 'blocks with sectors that their bitmaps leave out; they read as zeros',
    })
  runs.leftOut = true
}

/** Whether the bits of the first `sectors` sectors are all set. */
function isFull(bitmap: Uint8Array, sectors: number): boolean {
  const whole = Math.floor(sectors / 8)
  if (Buffer.compare(bitmap.subarray(0, whole), ONES.subarray(0, whole)) !== 0) return false
  const rest = sectors % 8
  const mask = 0xff & ~(0xff >> rest)
  return ((bitmap[whole] ?? 0) & mask) === mask
}

/** The runs of set bits among the first `sectors`. */
function* runsOf(bitmap: Uint8Array, sectors: number): Generator<{ start: number; end: number }> {
  const isSet = (sector: number) => ((bitmap[sector >>> 3] ?? 0) & (0x80 >> (sector & 7))) !== 0
  let start = -1
  for (let sector = 0; sector < sectors; sector++) {
    if (isSet(sector) === start >= 0) continue
    if (start < 0) start = sector
    else {
      yield { start, end: sector }
      start = -1
    }
  }
  if (start >= 0) yield { start, end: sectors }
}
