import { KiB, MiB, SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import { type DiskParser, MAX_ASK, type Parse, type Parsing } from '../parser.ts'
import { DataRuns } from './_data-runs.ts'

const SIGNATURE = 0xbeda107f
const VERSION = 0x00010001
const HEADER_START = 0x48
/** From the field that says so to the parent's UUID, and to the geometry that newer files add. */
const HEADER_SIZES = { min: 0x180, max: 4 * KiB }
const BLOCK_SIZE = MiB
const TYPES = { dynamic: 1, static: 2, undo: 3, difference: 4 } as const
/** Entries from here on name no block: `fffffffe` reads as zeros, `ffffffff` was never written. */
const FIRST_UNALLOCATED = 0xfffffffe

/**
 * VirtualBox's own format, dynamic and static, as VirtualBox and QEMU write it: a header, a map of
 * one number for each MiB of the disk, and the blocks in the order in which they were written.
 */
export const vdiParser: DiskParser = {
  name: 'vdi',
  summary: 'VirtualBox disk image, dynamic or static',
  parse: parseVdi,
}

interface Layout {
  /** Of the guest's disk, bytes. */
  readonly size: number
  readonly mapOffset: number
  readonly dataOffset: number
  readonly blocks: number
  readonly allocated: number
}

function* parseVdi(parsing: Parsing): Parse {
  const header = yield { at: 0, length: 512, name: 'VDI header' }
  const layout = checkHeader(header, parsing)
  const { mapOffset, blocks, allocated } = layout
  parsing.claim(0, HEADER_START + header.u32(HEADER_START), 'header', HEADER_START)
  if (!parsing.claim(mapOffset, blocks * 4, 'block map', 0x154)) return { virtualSize: layout.size }
  if (mapOffset + blocks * 4 > layout.dataOffset)
    parsing.note('OVERLAP', {
      at: 0x158,
      found: `data from byte ${layout.dataOffset}, inside the block map`,
      expected: `from byte ${mapOffset + blocks * 4} on`,
    })

  const runs = new DataRuns(parsing, 'block')
  let used = 0
  for (let at = 0; at < blocks * 4; at += MAX_ASK) {
    const length = Math.min(MAX_ASK, blocks * 4 - at)
    const map = yield { at: mapOffset + at, length, name: 'VDI block map' }
    used += checkMap(map, at / 4, { layout, parsing, runs })
  }
  runs.flush()
  if (used < allocated)
    parsing.note('UNUSED_BYTES', {
      at: 0x184,
      found: `${allocated - used} blocks that nobody uses`,
    })
  return { virtualSize: layout.size }
}

/**
 * Little-endian. Source: VirtualBox, VDICore.h; QEMU, block/vdi.c.
 *
 * | offset       | size  | field                                                              |
 * | ------------ | ----- | ------------------------------------------------------------------ |
 * | 0x00         | 64    | text                                                               |
 * | 0x40, 0x44   | 4, 4  | signature 7f 10 da be; version 1.1                                 |
 * | 0x48, 0x4c   | 4, 4  | size of the header from here on; type: 1 dynamic, 2 static, 3 undo, 4 difference |
 * | 0x154, 0x158 | 4, 4  | offsets of the block map and of the data                           |
 * | 0x168        | 4     | bytes of a sector: 512                                             |
 * | 0x170        | 8     | bytes of the disk                                                  |
 * | 0x178, 0x17c | 4, 4  | bytes of a block, and of what stands before each block             |
 * | 0x180, 0x184 | 4, 4  | blocks of the disk, and of the file                                |
 * | 0x1a8, 0x1b8 | 16, 16 | UUIDs of the parent image and of its last change                  |
 */
function checkHeader(header: Fields, parsing: Parsing): Layout {
  checkVariant(header, parsing)
  const rawSize = header.u64(0x170)
  if (rawSize > BigInt(parsing.limits.virtualSize))
    parsing.stop('SIZE_LIMIT', {
      at: 0x170,
      found: `a disk of ${rawSize} bytes`,
      expected: `at most ${parsing.limits.virtualSize}`,
    })
  // VirtualBox itself has written disks of half sectors; readers round them up.
  const size = Math.ceil(Number(rawSize) / SECTOR) * SECTOR
  if (size !== Number(rawSize))
    parsing.note('NOT_PADDED', { at: 0x170, found: `${rawSize} bytes`, expected: `${size}` })
  const blocks = header.u32(0x180)
  const needed = Math.ceil(size / BLOCK_SIZE)
  if (blocks !== needed)
    parsing.stop(blocks < needed ? 'TABLE_TOO_SMALL' : 'TABLE_TOO_LARGE', {
      at: 0x180,
      found: `${blocks} blocks`,
      expected: `${needed} for a disk of ${size} bytes`,
    })
  const allocated = header.u32(0x184)
  if (allocated > blocks)
    parsing.note('OUT_OF_RANGE', {
      at: 0x184,
      found: `${allocated} blocks in the file`,
      expected: `at most the ${blocks} of the disk`,
    })
  const mapOffset = header.u32(0x154)
  const dataOffset = header.u32(0x158)
  for (const [at, offset] of [
    [0x154, mapOffset],
    [0x158, dataOffset],
  ] as const)
    if (offset % SECTOR !== 0 || offset === 0)
      parsing.stop('MISALIGNED', {
        at,
        found: `byte ${offset}`,
        expected: 'a multiple of 512 behind the header',
      })
  return { size, mapOffset, dataOffset, blocks, allocated }
}

/** What decides whether the rest means what we think it does. */
function checkVariant(header: Fields, parsing: Parsing): void {
  const wanted = (code: 'HEADER_INVALID' | 'FORMAT_VERSION', at: number, value: number) => {
    const found = header.u32(at)
    if (found !== value) parsing.stop(code, { at, found: hex(found), expected: hex(value) })
  }
  wanted('HEADER_INVALID', 0x40, SIGNATURE)
  wanted('FORMAT_VERSION', 0x44, VERSION)
  const headerSize = header.u32(HEADER_START)
  if (headerSize < HEADER_SIZES.min || headerSize > HEADER_SIZES.max)
    parsing.stop('HEADER_INVALID', { at: HEADER_START, found: `a header of ${headerSize} bytes` })
  const type = header.u32(0x4c)
  if (type === TYPES.undo || type === TYPES.difference)
    parsing.note('PARENT', { at: 0x4c, found: `type ${type}`, expected: 'type 1 or 2' })
  else if (type !== TYPES.dynamic && type !== TYPES.static)
    parsing.stop('FORMAT_UNSUPPORTED', { at: 0x4c, found: `type ${type}`, expected: 'type 1 or 2' })
  for (const at of [0x1a8, 0x1b8])
    if (header.u64(at) !== 0n || header.u64(at + 8) !== 0n)
      parsing.note('PARENT', {
        at,
        found: Buffer.from(header.slice(at, 16)).toString('hex'),
        expected: 'a UUID of zeros',
      })
  wanted('HEADER_INVALID', 0x168, SECTOR)
  wanted('HEADER_INVALID', 0x178, BLOCK_SIZE)
  const extra = header.u32(0x17c)
  if (extra !== 0)
    parsing.stop('FORMAT_UNSUPPORTED', {
      at: 0x17c,
      found: `${extra} bytes before each block`,
      expected: '0',
    })
}

/** Checks the entries of a part of the map, from entry `first` on; gives how many name a block. */
function checkMap(
  map: Fields,
  first: number,
  { layout, parsing, runs }: { layout: Layout; parsing: Parsing; runs: DataRuns },
): number {
  const { size, dataOffset, allocated } = layout
  const view = new DataView(map.bytes.buffer, map.bytes.byteOffset, map.bytes.byteLength)
  let used = 0
  for (let at = 0; at < view.byteLength; at += 4) {
    const block = view.getUint32(at, true)
    if (block >= FIRST_UNALLOCATED) continue
    used++
    const guest = (first + at / 4) * BLOCK_SIZE
    if (block >= allocated)
      parsing.note('OUT_OF_RANGE', {
        at: map.start + at,
        found: `block ${block}`,
        expected: `below ${allocated}, the blocks of the file`,
      })
    else
      runs.add(
        guest,
        dataOffset + block * BLOCK_SIZE,
        Math.min(BLOCK_SIZE, size - guest),
        map.start + at,
      )
  }
  return used
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
