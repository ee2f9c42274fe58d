import { GiB, MiB, SECTOR } from '../../base/units.ts'
import type { Content } from '../../bytes/piece.ts'
import {
  bytesContent,
  contentInParts,
  diskContent,
  forDataUnits,
  joinedContent,
  roundUp,
  tableContent,
} from '../_segments.ts'
import { NO_OFFSET, vhdCheckSum, vhdFooter } from '../_vhd-footer.ts'
import type { DiskMap } from '../disk-map.ts'
import type { ViewFormat } from '../view.ts'

const BLOCK = 2 * MiB
/** One bit for each sector of a block: all of them are there. */
const BITMAP = bytesContent(Buffer.alloc(BLOCK / SECTOR / 8, 0xff))
const STRIDE = BITMAP.length + BLOCK
const HEADER = 1024
const TABLE_AT = SECTOR + HEADER

/**
 * VHD that holds only the blocks of 2 MiB with data: footer, header, block allocation table, blocks,
 * and the footer once more.
 */
export const vhd: ViewFormat = {
  name: 'vhd',
  summary: 'Hyper-V generation 1, Xen: dynamic VHD, blocks of 2 MiB',
  endings: ['vhd', 'vpc'],
  mediaType: 'application/x-vhd-disk',
  needs: 'map',
  version: 1,
  maxVirtualSize: 2040 * GiB,
  make: ({ map, identity }) => {
    const blocks = map.coarser(BLOCK)
    const footer = bytesContent(vhdFooter({ kind: 'dynamic', size: map.size, identity }))
    const tableLength = roundUp(blocks.units * 4, SECTOR)
    return joinedContent(
      footer,
      bytesContent(headerOf(blocks.units)),
      blockTable(blocks, tableLength, TABLE_AT + tableLength),
      blocksWithBitmaps(map, blocks),
      footer,
    )
  },
}

/**
 * The dynamic header. Big-endian; what is not named is zero, as there is no parent.
 *
 * | offset | size | field                                 |
 * | ------ | ---- | ------------------------------------- |
 * | 0      | 8    | `cxsparse`                            |
 * | 8      | 8    | all ones                              |
 * | 16     | 8    | offset of the block allocation table  |
 * | 24     | 4    | version: 1.0                          |
 * | 28     | 4    | entries of the table                  |
 * | 32     | 4    | bytes of a block, without its bitmap  |
 * | 36     | 4    | check sum                             |
 */
function headerOf(entries: number): Buffer {
  const header = Buffer.alloc(HEADER)
  header.write('cxsparse', 0, 'latin1')
  header.writeBigUInt64BE(NO_OFFSET, 8)
  header.writeBigUInt64BE(BigInt(TABLE_AT), 16)
  header.writeUInt32BE(0x00010000, 24)
  header.writeUInt32BE(entries, 28)
  header.writeUInt32BE(BLOCK, 32)
  header.writeUInt32BE(vhdCheckSum(header), 36)
  return header
}

/** The sector at which each block stands, bitmap first, 4 bytes each; all ones for those left out. */
function blockTable(blocks: DiskMap, length: number, firstBlock: number): Content {
  return tableContent(length, (start, size) => {
    const table = Buffer.alloc(size, 0xff)
    const first = start / 4
    forDataUnits(blocks, first, first + size / 4, (block, rank) =>
      table.writeUInt32BE((firstBlock + rank * STRIDE) / SECTOR, (block - first) * 4),
    )
    return table
  })
}

function blocksWithBitmaps(map: DiskMap, blocks: DiskMap): Content {
  return contentInParts(blocks.dataUnits * STRIDE, STRIDE, (start) => {
    const block = blocks.select(start / STRIDE)
    return joinedContent(BITMAP, diskContent(map, block * BLOCK, BLOCK))
  })
}
