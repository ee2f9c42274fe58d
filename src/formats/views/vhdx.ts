import { KiB, MiB, SECTOR, TiB } from '../../base/units.ts'
import { crc32c } from '../../bytes/crc32c.ts'
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
/** After so many blocks the table has an entry for their sector bitmap, which we have none of. */
const CHUNK = (2 ** 23 * SECTOR) / BLOCK
/** Entries of 8 bytes for a chunk: its blocks and its bitmap. */
const CHUNK_ENTRIES = CHUNK + 1
const PRESENT = 6
const LOG = { offset: MiB, length: MiB }
const METADATA = { offset: 2 * MiB, length: MiB }
const TABLE_AT = 3 * MiB

/** Hyper-V's format: header, an empty log, metadata, block allocation table, blocks of 1 MiB. */
export const vhdx: ViewFormat = {
  name: 'vhdx',
  summary: 'Hyper-V: dynamic VHDX, blocks of 1 MiB',
  endings: ['vhdx'],
  mediaType: 'application/x-vhdx-disk',
  needs: 'map',
  version: 1,
  maxVirtualSize: 64 * TiB,
  make: ({ map, identity }) => {
    const blocks = map.coarser(BLOCK)
    const entries = blocks.units + Math.floor((blocks.units - 1) / CHUNK)
    const tableLength = roundUp(entries * 8, MiB)
    return joinedContent(
      headOf(tableLength, identity),
      zerosContent(LOG.length),
      padded(metadataTable(), 64 * KiB),
      padded(metadataItems(map.size, identity), METADATA.length - 64 * KiB),
      blockTable(blocks, entries, tableLength),
      blocksContent(map, blocks),
    )
  },
}

/**
 * The first MiB: what the file is, and twice, so that one can be rewritten, a header and a table of
 * regions. Source: Microsoft, [MS-VHDX], 2.2.
 *
 * | offset  | size   | field                                     |
 * | ------- | ------ | ----------------------------------------- |
 * | 0       | 64 KiB | `vhdxfile`, and who made it (UTF-16)      |
 * | 64 KiB  | 64 KiB | header with sequence number 1             |
 * | 128 KiB | 64 KiB | header with sequence number 2: the latest |
 * | 192 KiB | 64 KiB | table of regions                          |
 * | 256 KiB | 64 KiB | the same                                  |
 * | 320 KiB |        | zeros                                     |
 */
function headOf(tableLength: number, identity: string): Content {
  const file = Buffer.from('vhdxfile', 'latin1')
  const creator = Buffer.from('Ingot', 'utf16le')
  // Its check sum takes a moment, which whoever waits for the first byte need not spend.
  const regions = tableContent(64 * KiB, () => regionTable(tableLength))
  const head = joinedContent(
    padded(Buffer.concat([file, creator]), 64 * KiB),
    padded(headerOf(1, identity), 64 * KiB),
    padded(headerOf(2, identity), 64 * KiB),
    regions,
    regions,
  )
  return joinedContent(head, zerosContent(LOG.offset - head.length))
}

/**
 * A header. Little-endian.
 *
 * | offset | size | field                                            |
 * | ------ | ---- | ------------------------------------------------ |
 * | 0      | 4    | `head`                                           |
 * | 4      | 4    | CRC-32C of these 4 KiB with this field as zero   |
 * | 8      | 8    | sequence number                                  |
 * | 16     | 16   | GUID of the last change of the file              |
 * | 32     | 16   | GUID of the last change of the disk              |
 * | 48     | 16   | GUID of the log: zero, there is nothing to redo  |
 * | 64     | 2, 2 | versions of the log (0) and of the format (1)    |
 * | 68     | 4, 8 | length and offset of the log                     |
 */
function headerOf(sequence: number, identity: string): Buffer {
  const header = Buffer.alloc(4 * KiB)
  header.write('head', 0, 'latin1')
  header.writeBigUInt64LE(BigInt(sequence), 8)
  asGuid(uuidFor('vhdx file', identity)).copy(header, 16)
  asGuid(uuidFor('vhdx data', identity)).copy(header, 32)
  header.writeUInt16LE(1, 66)
  header.writeUInt32LE(LOG.length, 68)
  header.writeBigUInt64LE(BigInt(LOG.offset), 72)
  return summed(header)
}

/**
 * The table of regions. Little-endian.
 *
 * | offset | size | field                                            |
 * | ------ | ---- | ------------------------------------------------ |
 * | 0      | 4    | `regi`                                           |
 * | 4      | 4    | CRC-32C of these 64 KiB with this field as zero  |
 * | 8      | 4    | entries                                          |
 * | 16     | 32   | each: GUID, offset (8), length (4), required (4) |
 */
function regionTable(tableLength: number): Buffer {
  const table = Buffer.alloc(64 * KiB)
  table.write('regi', 0, 'latin1')
  const regions = [
    { guid: '2dc27766-f623-4200-9d64-115e9bfd4a08', offset: TABLE_AT, length: tableLength },
    { guid: '8b7ca206-4790-4b9a-b8fe-575f050f886e', ...METADATA },
  ]
  table.writeUInt32LE(regions.length, 8)
  for (const [index, { guid, offset, length }] of regions.entries()) {
    const at = 16 + index * 32
    asGuid(guid).copy(table, at)
    table.writeBigUInt64LE(BigInt(offset), at + 16)
    table.writeUInt32LE(length, at + 24)
    table.writeUInt32LE(1, at + 28)
  }
  return summed(table)
}

/** What is known of the disk: where each item stands among `metadataItems`, in this order. */
const ITEMS = [
  { guid: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b', length: 8, ofDisk: false },
  { guid: '2fa54224-cd1b-4876-b211-5dbed83bf4b8', length: 8, ofDisk: true },
  { guid: 'beca12ab-b2e6-4523-93ef-c309e000c746', length: 16, ofDisk: true },
  { guid: '8141bf1d-a96f-4709-ba47-f233a8faab5f', length: 4, ofDisk: true },
  { guid: 'cda348c7-445d-4471-9cc9-e9885251c556', length: 4, ofDisk: true },
] as const

/**
 * The table of the metadata region. Little-endian.
 *
 * | offset | size | field                                                                |
 * | ------ | ---- | -------------------------------------------------------------------- |
 * | 0      | 8    | `metadata`                                                           |
 * | 10     | 2    | entries                                                              |
 * | 32     | 32   | each: GUID, offset in the region (4), length (4), flags (4)          |
 *
 * Flags: 2 of the disk (not of the file), 4 required.
 */
function metadataTable(): Buffer {
  const table = Buffer.alloc(32 + ITEMS.length * 32)
  table.write('metadata', 0, 'latin1')
  table.writeUInt16LE(ITEMS.length, 10)
  let offset = 64 * KiB
  for (const [index, { guid, length, ofDisk }] of ITEMS.entries()) {
    const at = 32 + index * 32
    asGuid(guid).copy(table, at)
    table.writeUInt32LE(offset, at + 16)
    table.writeUInt32LE(length, at + 20)
    table.writeUInt32LE(ofDisk ? 6 : 4, at + 24)
    offset += length
  }
  return table
}

/**
 * The items. Little-endian.
 *
 * | offset | size | field                                             |
 * | ------ | ---- | ------------------------------------------------- |
 * | 0      | 4, 4 | bytes of a block; flags: not fixed, no parent     |
 * | 8      | 8    | bytes of the disk                                 |
 * | 16     | 16   | SCSI page 83: the GUID the guest sees the disk by |
 * | 32     | 4    | bytes of a sector                                 |
 * | 36     | 4    | bytes of a sector as it should be thought of      |
 */
function metadataItems(size: number, identity: string): Buffer {
  const items = Buffer.alloc(40)
  items.writeUInt32LE(BLOCK, 0)
  items.writeBigUInt64LE(BigInt(size), 8)
  asGuid(uuidFor('vhdx page 83', identity)).copy(items, 16)
  items.writeUInt32LE(SECTOR, 32)
  items.writeUInt32LE(4 * KiB, 36)
  return items
}

/**
 * State (bits 0 to 2) and offset in MiB (bits 20 to 63) of each block, 8 bytes each; after every chunk
 * of blocks the entry of a sector bitmap, which is never there.
 */
function blockTable(blocks: DiskMap, entries: number, length: number): Content {
  const firstBlock = (TABLE_AT + length) / MiB
  return tableContent(length, (start, size) => {
    const first = start / 8
    if (first >= entries) return undefined
    const table = Buffer.alloc(size)
    forDataUnits(blocks, blockAt(first), blockAt(first + size / 8), (block, rank) => {
      const at = (block + Math.floor(block / CHUNK) - first) * 8
      const place = firstBlock + rank
      table.writeUInt32LE((place % 4096) * 2 ** 20 + PRESENT, at)
      table.writeUInt32LE(Math.floor(place / 4096), at + 4)
    })
    return table
  })
}

/** The block that an entry is of; of a bitmap's entry, the block behind it. */
function blockAt(entry: number): number {
  return entry - Math.floor(entry / CHUNK_ENTRIES)
}

function padded(bytes: Buffer, length: number): Content {
  return joinedContent(bytesContent(bytes), zerosContent(length - bytes.length))
}

/** The structure with its check sum. */
function summed(structure: Buffer): Buffer {
  structure.writeUInt32LE(~crc32c(structure, 0xffffffff) >>> 0, 4)
  return structure
}
