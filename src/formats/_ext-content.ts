import { MiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { Recent } from '../bytes/recent.ts'
import type { Source } from '../bytes/source.ts'
import { findByExtents } from './_ext-extents.ts'
import type { Inode } from './_ext-inode.ts'
import { findByMap, type Run } from './_ext-map.ts'
import type { Superblock } from './_ext-superblock.ts'

/** The map of an inode: a list of blocks, the root of a tree, the target of a link, or data. */
const MAP = 40
const MAP_LENGTH = 60
const XATTR_MAGIC = 0xea020000
const SYSTEM = 7
/** Source: Linux, ext4: blocks of a file are counted with 32 bits. */
const MAX_BLOCKS = 2 ** 32
const MIN_STEPS = 1_000_000

/** Finds and reads what inodes hold. */
export interface Contents {
  /** `length` bytes from `offset`, both inside the inode's size; holes as zeros. */
  read(inode: Inode, offset: number, length: number): Promise<Uint8Array>
  /** The runs inside the inode's size that hold anything, in order; neighbours may be apart. */
  data(inode: Inode): AsyncGenerator<{ offset: number; length: number }>
}

export function openContents(source: Source, block: Superblock): Contents {
  const nodes = new Recent<number, Fields>(MiB)
  // Nodes may be shared, as only a hostile image has them: then there is more to find than blocks.
  let stepsLeft = 4 * block.blocks + MIN_STEPS

  const startOf = (physical: number, count: number, from: Fields, at: number): number => {
    if (physical > block.firstBlock && physical + count <= block.blocks)
      return physical * block.blockSize
    throw from.fault(
      'IMAGE_UNSAFE',
      at,
      `no ${count} blocks from ${physical} on: there are ${block.blocks}`,
    )
  }

  const readNode = async (physical: number, from: Fields, at: number): Promise<Fields> => {
    const known = nodes.get(physical)
    if (known !== undefined) return known
    const start = startOf(physical, 1, from, at)
    const bytes = await source.read(start, block.blockSize)
    const node = new Fields(bytes, { name: `${source.name}: block ${physical}`, start })
    nodes.set(physical, node, block.blockSize)
    return node
  }

  const find = (inode: Inode, logical: number): Promise<Run> => {
    const map = inode.fields.part(inode.fields.name, MAP, MAP_LENGTH)
    return inode.layout === 'extents'
      ? findByExtents(map, logical, inode.seed, readNode)
      : findByMap(map, logical, block.blockSize, readNode)
  }

  return {
    read: async (inode, offset, length) => {
      if (inode.layout === 'inline') return readInline(inode, offset, length)
      const result = Buffer.alloc(length)
      for (let done = 0; done < length;) {
        const inside = (offset + done) % block.blockSize
        const { physical, count } = await find(inode, (offset + done - inside) / block.blockSize)
        const piece = Math.min(length - done, count * block.blockSize - inside)
        if (physical !== undefined) {
          const blocks = Math.ceil((inside + piece) / block.blockSize)
          const start = startOf(physical, blocks, inode.fields, MAP)
          result.set(await source.read(start + inside, piece), done)
        }
        done += piece
      }
      return result
    },
    data: async function* (inode) {
      const { size, layout } = inode
      if (layout === 'inline' && size > 0) yield { offset: 0, length: size }
      if (layout === 'inline') return
      if (size > MAX_BLOCKS * block.blockSize)
        throw inode.fields.fault('IMAGE_UNSAFE', 4, `a file of ${size} bytes`)
      for (let offset = 0; offset < size;) {
        if (--stepsLeft < 0)
          throw inode.fields.fault('IMAGE_UNSAFE', MAP, 'files with more parts than the disk has')
        const { physical, count } = await find(inode, offset / block.blockSize)
        const length = Math.min(count * block.blockSize, size - offset)
        if (physical !== undefined) yield { offset, length }
        offset += length
      }
    },
  }
}

function readInline(inode: Inode, offset: number, length: number): Uint8Array {
  const whole = Buffer.concat(inlineParts(inode))
  if (offset + length <= whole.length) return whole.subarray(offset, offset + length)
  throw inode.fields.fault(
    'IMAGE_UNSAFE',
    4,
    `it says ${inode.size} bytes, but has ${whole.length}`,
  )
}

/**
 * What stands in an inode itself: in its map, and if that is too small in the attribute
 * `system.data`. Attributes: a magic number, then entries (0 length of the name, 1 kind of name,
 * 2 place of the value from the first entry on, 8 its length, 16 name) until four zeros.
 */
export function inlineParts({ fields }: Inode): [Uint8Array, Uint8Array] {
  const map = fields.slice(MAP, MAP_LENGTH)
  const none = new Uint8Array()
  const { length } = fields.bytes
  const magic = length > 128 ? 128 + fields.u16(128) : length
  if (magic + 4 > length || fields.u32(magic) !== XATTR_MAGIC) return [map, none]
  const first = magic + 4
  for (let at = first; at + 16 <= length && fields.u32(at) !== 0;) {
    const nameLength = fields.u8(at)
    if (fields.u8(at + 1) === SYSTEM && nameLength === 4 && fields.holds(at + 16, 'data'))
      return [map, fields.slice(first + fields.u16(at + 2), fields.u32(at + 8))]
    at += 16 + Math.ceil(nameLength / 4) * 4
  }
  return [map, none]
}
