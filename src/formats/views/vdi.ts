import { MiB, SECTOR } from '../../base/units.ts'
import type { Content } from '../../bytes/piece.ts'
import { asGuid, uuidFor } from '../_identity.ts'
import {
  blocksContent,
  bytesContent,
  forDataUnits,
  joinedContent,
  roundUp,
  tableContent,
  zerosContent,
} from '../_segments.ts'
import type { DiskMap } from '../disk-map.ts'
import type { ViewFormat } from '../view.ts'

const BLOCK = MiB
const MAP_AT = SECTOR

/** VirtualBox's own format: header, block map, and the blocks of 1 MiB that hold data. */
export const vdi: ViewFormat = {
  name: 'vdi',
  summary: 'VirtualBox: dynamic VDI, blocks of 1 MiB',
  endings: ['vdi'],
  mediaType: 'application/x-vdi-disk',
  needs: 'map',
  version: 1,
  // Source: QEMU, block/vdi.c, VDI_BLOCKS_IN_IMAGE_MAX
  maxVirtualSize: 0x3fffffff * BLOCK,
  make: ({ map, identity }) => {
    const blocks = map.coarser(BLOCK)
    const mapLength = blocks.units * 4
    // Blocks start at a whole MiB, as VirtualBox itself aligns them.
    const data = roundUp(MAP_AT + mapLength, MiB)
    return joinedContent(
      bytesContent(headerOf(blocks, data, identity)),
      blockMap(blocks, mapLength),
      zerosContent(data - MAP_AT - mapLength),
      blocksContent(map, blocks),
    )
  },
}

/**
 * The header. Little-endian; what is not named is zero: flags, comment, geometry, parent.
 * Source: VirtualBox, src/VBox/Storage/VDICore.h.
 *
 * | offset | size | field                                         |
 * | ------ | ---- | --------------------------------------------- |
 * | 0      | 64   | a text for people                             |
 * | 0x40   | 4    | signature: 0xbeda107f                         |
 * | 0x44   | 4    | version: 1.1                                  |
 * | 0x48   | 4    | bytes of the header from here on: 400         |
 * | 0x4c   | 4    | type: 1 dynamic                               |
 * | 0x154  | 4, 4 | offsets of the block map and of the blocks    |
 * | 0x168  | 4    | bytes of a sector                             |
 * | 0x170  | 8    | bytes of the guest's disk                     |
 * | 0x178  | 4    | bytes of a block                              |
 * | 0x180  | 4, 4 | blocks of the disk, and of the file           |
 * | 0x188  | 16   | UUID of the image                             |
 * | 0x198  | 16   | UUID of its last change                       |
 */
function headerOf(blocks: DiskMap, data: number, identity: string): Buffer {
  const header = Buffer.alloc(MAP_AT)
  header.write('<<< Oracle VM VirtualBox Disk Image >>>\n', 0, 'latin1')
  header.writeUInt32LE(0xbeda107f, 0x40)
  header.writeUInt32LE(0x00010001, 0x44)
  header.writeUInt32LE(400, 0x48)
  header.writeUInt32LE(1, 0x4c)
  header.writeUInt32LE(MAP_AT, 0x154)
  header.writeUInt32LE(data, 0x158)
  header.writeUInt32LE(SECTOR, 0x168)
  header.writeBigUInt64LE(BigInt(blocks.size), 0x170)
  header.writeUInt32LE(BLOCK, 0x178)
  header.writeUInt32LE(blocks.units, 0x180)
  header.writeUInt32LE(blocks.dataUnits, 0x184)
  asGuid(uuidFor('vdi image', identity)).copy(header, 0x188)
  asGuid(uuidFor('vdi change', identity)).copy(header, 0x198)
  return header
}

/** Which block of the file holds each block of the disk, 4 bytes each; all ones for those left out. */
function blockMap(blocks: DiskMap, length: number): Content {
  return tableContent(length, (start, size) => {
    const table = Buffer.alloc(size, 0xff)
    const first = start / 4
    forDataUnits(blocks, first, first + size / 4, (block, rank) =>
      table.writeUInt32LE(rank, (block - first) * 4),
    )
    return table
  })
}
