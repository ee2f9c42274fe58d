import { KiB } from '../../base/units.ts'
import type { Piece } from '../../bytes/piece.ts'
import { clustersOf } from '../_clusters-of.ts'
import { framedDisk } from '../_framed-disk.ts'
import { bytesPiece, payloadPiece } from '../_pieces.ts'
import { UNIT } from '../disk-map.ts'
import { type OrderedContent, wholeContent } from '../ordered-content.ts'
import type { ViewFormat, ViewInput } from '../view.ts'

/** The disk as zstd would give it, in many frames: one for each data unit and for each hole. */
export const rawZst: ViewFormat = {
  name: 'raw.zst',
  summary: 'the raw disk, compressed by zstd',
  endings: ['raw.zst', 'img.zst'],
  mediaType: 'application/zstd',
  needs: 'zstd',
  version: 1,
  make: (input) => wholeContent(orderOf(input)),
  order: (input) => orderOf(input),
}

function orderOf(input: ViewInput): OrderedContent {
  const clusters = clustersOf(input)
  const unit = (cluster: number) => {
    const length = clusters.length(cluster)
    const payload = payloadPiece(clusters.offset(cluster), length)
    return clusters.isStored(cluster) ? plainFrame(payload, length) : [payload]
  }
  return framedDisk(clusters, {
    unit,
    unitLength: (cluster) =>
      clusters.isStored(cluster) ? UNIT + PLAIN_EXTRA : clusters.length(cluster),
    shortUnit: (_, bytes, length) => plainFrame(bytes, length),
    shortUnitLength: (length) => length + PLAIN_EXTRA,
    zeros: zerosFrame,
    zerosLength: (length) => ZEROS_HEAD + Math.ceil(length / ZEROS_BLOCK) * ZEROS_STEP,
  })
}

const MAGIC = 0xfd2fb528
/** Bit 0 of a block's header: the last one; bits 1 and 2 its type; from bit 3 on its size. */
const LAST = 1
const REPEATED = 1 << 1
const SIZE_SHIFT = 3
/** Bytes of a plain frame around its content. */
const PLAIN_EXTRA = 10

/**
 * A frame that holds 512 bytes to 64 KiB as they are. Little-endian.
 * Source: RFC 8878, 3.1.1.
 *
 * | offset | size | field                                                        |
 * | ------ | ---- | ------------------------------------------------------------ |
 * | 0      | 4    | magic                                                        |
 * | 4      | 1    | bits 6-7: size of 2 bytes; bit 5: all in one, so no window   |
 * | 5      | 2    | bytes of the content, less 256                               |
 * | 7      | 3    | header of the one block                                      |
 * | 10     |      | the content                                                  |
 */
function plainFrame(content: Piece, length: number): readonly Piece[] {
  const head = Buffer.allocUnsafe(PLAIN_EXTRA)
  head.writeUInt32LE(MAGIC, 0)
  head.writeUInt8((1 << 6) | (1 << 5), 4)
  head.writeUInt16LE(length - 256, 5)
  head.writeUIntLE((length << SIZE_SHIFT) | LAST, 7, 3)
  return [bytesPiece(head), content]
}

/** The largest block there is, told as one byte that is repeated. */
const ZEROS_BLOCK = 128 * KiB
const ZEROS_STEP = 4
const ZEROS_HEAD = 14
/** Blocks of zeros, one after the other. */
const ZEROS_BLOCKS = Buffer.alloc(64 * KiB, zerosBlock(ZEROS_BLOCK))

/**
 * A frame of zeros: blocks of 128 KiB, four bytes each.
 *
 * | offset | size | field                                     |
 * | ------ | ---- | ----------------------------------------- |
 * | 0      | 4    | magic                                     |
 * | 4      | 1    | bits 6-7: size of 8 bytes                 |
 * | 5      | 1    | window: bits 3-7 say 2^(10 + 7), 128 KiB  |
 * | 6      | 8    | bytes of the content                      |
 * | 14     | 4... | header and byte of each block             |
 */
function zerosFrame(length: number): readonly Piece[] {
  const head = Buffer.allocUnsafe(ZEROS_HEAD)
  head.writeUInt32LE(MAGIC, 0)
  head.writeUInt8(3 << 6, 4)
  head.writeUInt8(7 << 3, 5)
  head.writeBigUInt64LE(BigInt(length), 6)
  const before = Math.ceil(length / ZEROS_BLOCK) - 1
  const frame = [bytesPiece(head)]
  for (let left = before * ZEROS_STEP; left > 0; left -= ZEROS_BLOCKS.length)
    frame.push(bytesPiece(ZEROS_BLOCKS.subarray(0, left)))
  frame.push(bytesPiece(zerosBlock(length - before * ZEROS_BLOCK, LAST)))
  return frame
}

function zerosBlock(size: number, last: 0 | typeof LAST = 0): Buffer {
  const block = Buffer.allocUnsafe(ZEROS_STEP)
  block.writeUInt32LE((size << SIZE_SHIFT) | REPEATED | last, 0)
  return block
}
