/** What VMDK files of any kind begin with: the sparse header, and the descriptor, which is a text. */
import { SECTOR } from '../base/units.ts'
import { numberFor, uuidFor, uuidText } from './_identity.ts'

/** Sectors that data is kept in: 64 KiB. */
export const GRAIN_SECTORS = 128
/** Entries of 4 bytes in a grain table, which so leads to 32 MiB of the disk. */
export const TABLE_ENTRIES = 512
export const TABLE_SECTORS = (TABLE_ENTRIES * 4) / SECTOR
export const DESCRIPTOR_SECTORS = 20
/** In place of the grain directory's sector: it is told in a footer. */
export const AT_END = 0xffffffffffffffffn

export interface VmdkHeader {
  readonly version: 1 | 3
  /** 1: newlines are told; 2: redundant tables; 0x10000: compressed; 0x20000: markers. */
  readonly flags: number
  /** Sectors of the disk. */
  readonly capacity: number
  /** Sectors at which things start; 0 where there is none. */
  readonly redundantDirectory: number
  readonly directory: number | typeof AT_END
  /** Sectors before the first grain. */
  readonly overhead: number
  readonly deflated: boolean
}

/**
 * The sparse header. Little-endian; what is not named is zero.
 * Source: VMware, Virtual Disk Format 5.0.
 *
 * | offset | size | field                                                        |
 * | ------ | ---- | ------------------------------------------------------------ |
 * | 0      | 4    | `KDMV`                                                       |
 * | 4      | 4    | version                                                      |
 * | 8      | 4    | flags                                                        |
 * | 12     | 8    | sectors of the disk                                          |
 * | 20     | 8    | sectors of a grain: 128                                      |
 * | 28     | 8, 8 | sector and sectors of the descriptor                         |
 * | 44     | 4    | entries of a grain table: 512                                |
 * | 48     | 8, 8 | sectors of the redundant grain directory and of the main one |
 * | 64     | 8    | sectors before the first grain                               |
 * | 72     | 1    | not closed cleanly: 0                                        |
 * | 73     | 4    | newlines, to see that nobody has translated them             |
 * | 77     | 2    | compression: 0 none, 1 deflate                               |
 */
export function vmdkHeader(fields: VmdkHeader): Buffer {
  const header = Buffer.alloc(SECTOR)
  header.write('KDMV', 0, 'latin1')
  header.writeUInt32LE(fields.version, 4)
  header.writeUInt32LE(fields.flags, 8)
  header.writeBigUInt64LE(BigInt(fields.capacity), 12)
  header.writeBigUInt64LE(BigInt(GRAIN_SECTORS), 20)
  header.writeBigUInt64LE(1n, 28)
  header.writeBigUInt64LE(BigInt(DESCRIPTOR_SECTORS), 36)
  header.writeUInt32LE(TABLE_ENTRIES, 44)
  header.writeBigUInt64LE(BigInt(fields.redundantDirectory), 48)
  header.writeBigUInt64LE(BigInt(fields.directory), 56)
  header.writeBigUInt64LE(BigInt(fields.overhead), 64)
  header.write('\n \r\n', 73, 'latin1')
  header.writeUInt16LE(fields.deflated ? 1 : 0, 77)
  return header
}

/** The descriptor, filled up with zeros. The name of the extent is said, but nobody follows it. */
export function vmdkDescriptor(disk: {
  readonly createType: 'monolithicSparse' | 'streamOptimized'
  /** Sectors of the disk. */
  readonly capacity: number
  readonly identity: string
}): Buffer {
  const { createType, capacity, identity } = disk
  // Not ffffffff, which would say that there is no parent.
  const contentId = numberFor('vmdk content', identity) & 0x7fffffff
  const text = `# Disk DescriptorFile
version=1
CID=${contentId.toString(16).padStart(8, '0')}
parentCID=ffffffff
createType="${createType}"

# Extent description
RW ${capacity} SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "${Math.max(Math.floor(capacity / (255 * 63)), 1)}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.adapterType = "lsilogic"
ddb.uuid.image = "${uuidText(uuidFor('vmdk image', identity))}"
`
  const descriptor = Buffer.alloc(DESCRIPTOR_SECTORS * SECTOR)
  descriptor.write(text, 'latin1')
  return descriptor
}
