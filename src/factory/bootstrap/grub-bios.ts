/**
 * GRUB for machines with a BIOS, put onto a disk image byte by byte: what grub-install does, but
 * with no device to be mapped and no file system to be mounted.
 *
 * The firmware loads the first sector (`boot.img`), which loads the first sector of GRUB's core,
 * which loads the rest of the core by a list of blocks. Both have to be told where things stand.
 * Source: GRUB 2.06, util/setup.c and include/grub/i386/pc/boot.h.
 */
import { Failure } from '../../base/failure.ts'
import { SECTOR } from '../../base/units.ts'
import type { Piece } from './gpt.ts'

/** Where the partition table begins in the first sector; the boot code ends before it. */
const BOOT_CODE = 440

/**
 * Fields of `boot.img`.
 *
 * | offset | size | field                                                              |
 * | ------ | ---- | ------------------------------------------------------------------ |
 * | 0x5c   | 8    | sector of the core's first sector                                  |
 * | 0x64   | 1    | drive to load from; 0xff: the one the firmware booted              |
 * | 0x66   | 2    | a jump; two NOPs instead distrust drives that are not hard disks   |
 * | 0x1fe  | 2    | 55 aa                                                              |
 */
const BOOT = { coreSector: 0x5c, drive: 0x64, driveCheck: 0x66, signature: 0x1fe }

/**
 * The first entry of the list of blocks, at the end of the core's first sector; the list grows
 * downwards, and an entry of no length ends it.
 *
 * | offset | size | field                                |
 * | ------ | ---- | ------------------------------------ |
 * | 0x1f4  | 8    | first sector                         |
 * | 0x1fc  | 2    | number of sectors                    |
 * | 0x1fe  | 2    | segment of memory they are loaded to |
 */
const BLOCK = { start: 0x1f4, count: 0x1fc, segment: 0x1fe, size: 12 }
/** Right behind the core's first sector, which stands at 0x8000. */
const SECOND_SEGMENT = 0x820

/**
 * The boot code for the first sector and the core for the BIOS boot partition.
 * Fails with BUILD_FAILED when the two are not what GRUB's tools make, or do not fit.
 */
export function makeGrubBios(
  bootImage: Uint8Array,
  coreImage: Uint8Array,
  partition: { offset: number; length: number },
): Piece[] {
  const boot = Buffer.from(bootImage)
  if (boot.length !== SECTOR || boot.readUInt16BE(BOOT.signature) !== 0x55aa)
    throw new Failure('BUILD_FAILED', `GRUB's boot.img is not a boot sector`)
  const core = Buffer.alloc(Math.ceil(coreImage.length / SECTOR) * SECTOR)
  core.set(coreImage)
  if (core.length < 2 * SECTOR || core.readUInt16LE(BLOCK.segment) !== SECOND_SEGMENT)
    throw new Failure('BUILD_FAILED', `GRUB's core image does not begin with its loader`)
  if (core.length > partition.length)
    throw new Failure(
      'BUILD_FAILED',
      `GRUB's core of ${core.length} bytes does not fit into the ${partition.length} bytes of its partition`,
    )

  const firstSector = partition.offset / SECTOR
  boot.writeBigUInt64LE(BigInt(firstSector), BOOT.coreSector)
  boot.writeUInt8(0xff, BOOT.drive)
  boot.writeUInt16BE(0x9090, BOOT.driveCheck)

  core.writeBigUInt64LE(BigInt(firstSector + 1), BLOCK.start)
  core.writeUInt16LE(core.length / SECTOR - 1, BLOCK.count)
  core.fill(0, BLOCK.start - BLOCK.size, BLOCK.start)
  return [
    { offset: 0, bytes: boot.subarray(0, BOOT_CODE) },
    { offset: partition.offset, bytes: core },
  ]
}
