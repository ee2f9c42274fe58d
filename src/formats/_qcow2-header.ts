import { formatSize, KiB, MiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'

const MAGIC = 0x514649fb
const MAX_L1_SIZE = 32 * MiB
const END_OF_EXTENSIONS = 0
const DATA_FILE_NAME = 0x44415441
const FLATTEN = 'Make it one file that needs no other: qemu-img convert -O qcow2 IN OUT'

export interface Qcow2Header {
  version: 2 | 3
  clusterBits: number
  /** Bytes of the guest's disk. */
  virtualSize: number
  l1Offset: number
  l1Entries: number
  compression: 'zlib' | 'zstd'
  /** Internal snapshots; they are not read. */
  snapshots: number
}

/**
 * Reads and checks the header of a qcow2 file.
 *
 * | offset | size | field (big-endian)                                                       |
 * | ------ | ---- | ------------------------------------------------------------------------ |
 * | 0      | 4    | magic `QFI` fb                                                           |
 * | 4      | 4    | version                                                                  |
 * | 8, 16  | 8, 4 | backing file: offset and length of its name                              |
 * | 20     | 4    | cluster bits, 9 to 21                                                    |
 * | 24     | 8    | virtual size                                                             |
 * | 32     | 4    | encryption                                                               |
 * | 36, 40 | 4, 8 | L1 table: entries, offset                                                |
 * | 60     | 4    | snapshots                                                                |
 * | 72     | 8    | incompatible features (version 3 from here on)                           |
 * | 100    | 4    | length of the header                                                     |
 * | 104    | 1    | compression: 0 zlib, 1 zstd                                              |
 *
 * Source: QEMU, docs/interop/qcow2.txt.
 */
export async function readQcow2Header(file: Source): Promise<Qcow2Header> {
  const bytes = await file.read(0, Math.min(file.size, 64 * KiB))
  const header = new Fields(bytes, { name: `${file.name}: qcow2 header`, order: 'big' })
  if (bytes.length < 72) throw header.fault('IMAGE_TRUNCATED', bytes.length, 'the header ends here')
  const version = header.u32(4)
  if (header.u32(0) !== MAGIC || (version !== 2 && version !== 3))
    throw header.fault('IMAGE_UNREADABLE', 0, `this is no qcow2 of version 2 or 3`)
  refuseOutside(header)
  const clusterBits = header.u32(20)
  if (clusterBits < 9 || clusterBits > 21)
    throw header.fault('IMAGE_UNSAFE', 20, `clusters of 2^${clusterBits} bytes; 2^9 to 2^21 exist`)
  const features =
    version === 3 ? readFeatures(header) : { compression: 'zlib' as const, length: 72 }
  checkExtensions(header, features.length, 2 ** clusterBits)
  return {
    version,
    clusterBits,
    ...readTable(header, 2 ** clusterBits),
    compression: features.compression,
    snapshots: header.u32(60),
  }
}

/** Whatever would make a reader open another file, or need a key. */
function refuseOutside(header: Fields): void {
  if (header.u64(8) !== 0n || header.u32(16) !== 0) {
    const at = Number(header.u64(8))
    const name = header.bytes.subarray(at, at + header.u32(16))
    const shown = JSON.stringify(Buffer.from(name).toString().slice(0, 200))
    throw header.fault('IMAGE_UNSAFE', 8, `it has a backing file (${shown})`, FLATTEN)
  }
  const method = header.u32(32)
  if (method !== 0)
    throw header.fault('FILE_SYSTEM_ENCRYPTED', 32, `its content is encrypted (method ${method})`)
}

function readFeatures(header: Fields): { compression: 'zlib' | 'zstd'; length: number } {
  const bits = header.u64(72)
  const has = (bit: bigint) => ((bits >> bit) & 1n) === 1n
  if (has(2n)) throw header.fault('IMAGE_UNSAFE', 72, 'its data is in another file', FLATTEN)
  if (has(0n)) throw header.fault('IMAGE_DIRTY', 72, 'it was not closed cleanly (dirty bit)')
  if (has(1n)) throw header.fault('IMAGE_DIRTY', 72, 'it is marked as corrupt')
  if (has(4n))
    throw header.fault(
      'IMAGE_UNREADABLE',
      72,
      'it has extended L2 entries (subclusters), which Ingot does not read',
      'Convert it: qemu-img convert -O qcow2 IN OUT',
    )
  if (bits >> 5n !== 0n)
    throw header.fault('IMAGE_UNREADABLE', 72, `unknown features (0x${bits.toString(16)})`)
  const length = header.u32(100)
  if (length < 104 || length % 8 !== 0 || length > header.bytes.length)
    throw header.fault('IMAGE_UNSAFE', 100, `a header of ${length} bytes`)
  const compression = length > 104 ? header.u8(104) : 0
  if (compression > 1 || (compression !== 0) !== has(3n))
    throw header.fault('IMAGE_UNREADABLE', 104, `unknown compression ${compression}`)
  return { compression: compression === 1 ? 'zstd' : 'zlib', length }
}

/** Extensions are type, length and data padded to 8, up to type 0 or the end of the cluster. */
function checkExtensions(header: Fields, start: number, clusterSize: number): void {
  const end = Math.min(clusterSize, header.bytes.length)
  for (let at = start; at + 8 <= end;) {
    const type = header.u32(at)
    const length = header.u32(at + 4)
    if (type === END_OF_EXTENSIONS) return
    if (type === DATA_FILE_NAME)
      throw header.fault('IMAGE_UNSAFE', at, 'it names a file for its data', FLATTEN)
    if (at + 8 + length > end)
      throw header.fault('IMAGE_UNSAFE', at + 4, `an extension of ${length} bytes is not all there`)
    at += 8 + Math.ceil(length / 8) * 8
  }
}

function readTable(
  header: Fields,
  clusterSize: number,
): { virtualSize: number; l1Offset: number; l1Entries: number } {
  const virtualSize = header.size(24)
  if (virtualSize % SECTOR !== 0)
    throw header.fault('IMAGE_UNSAFE', 24, `a disk of ${virtualSize} bytes is not whole sectors`)
  const l1Entries = header.u32(36)
  const needed = Math.ceil(virtualSize / (clusterSize * (clusterSize / 8)))
  if (l1Entries < needed)
    throw header.fault('IMAGE_UNSAFE', 36, `${l1Entries} L1 entries, but the disk needs ${needed}`)
  if (l1Entries * 8 > MAX_L1_SIZE)
    throw header.fault(
      'IMAGE_UNSAFE',
      36,
      `an L1 table of ${formatSize(l1Entries * 8)}; at most ${formatSize(MAX_L1_SIZE)} make sense`,
    )
  const l1Offset = header.size(40)
  if (l1Offset % clusterSize !== 0 || (l1Entries > 0 && l1Offset === 0))
    throw header.fault('IMAGE_UNSAFE', 40, `the L1 table cannot stand at byte ${l1Offset}`)
  return { virtualSize, l1Offset, l1Entries }
}
