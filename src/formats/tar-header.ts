/** Headers of tar archives. Source: POSIX, pax, ustar interchange format; GNU tar, "Basic Tar Format". */
import { SECTOR } from '../base/units.ts'
import { MADE_AT } from './_identity.ts'

/** What an archive is padded to: 20 blocks. */
export const TAR_RECORD = 20 * SECTOR
/** Zeros that end an archive, at least. */
export const TAR_END = 2 * SECTOR

/**
 * The header of a file of root's, mode 0644; fields not named are zeros. `writeMore` adds or changes
 * those of a dialect before the check sum is taken.
 *
 * | offset | size | field                                    |
 * | ------ | ---- | ---------------------------------------- |
 * | 0      | 100  | name                                     |
 * | 100    | 24   | mode, owner, group: 8 each, octal        |
 * | 124    | 12   | bytes of the file that follow            |
 * | 136    | 12   | time                                     |
 * | 148    | 8    | sum of all bytes, this field being blank |
 * | 156    | 1    | type                                     |
 * | 257    | 8    | magic and version                        |
 * | 265    | 64   | names of owner and group: 32 each        |
 */
export function tarHeader(
  file: { name: string; size: number; type: string; magic: 'ustar\x0000' | 'ustar  \0' },
  writeMore: (header: Buffer) => void = () => {},
): Buffer {
  const header = Buffer.alloc(SECTOR)
  header.write(file.name, 0, 'latin1')
  header.write('0000644\x000000000\x000000000\0', 100, 'latin1')
  writeTarNumber(header, 124, file.size)
  writeTarNumber(header, 136, MADE_AT.getTime() / 1000)
  header.fill(' ', 148, 156)
  header.write(file.type, 156, 'latin1')
  header.write(file.magic, 257, 'latin1')
  header.write('root', 265, 'latin1')
  header.write('root', 297, 'latin1')
  writeMore(header)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return header
}

/** 12 bytes: octal, or from 8 GiB on (as GNU tar and most others have it) binary with the top bit set. */
export function writeTarNumber(block: Buffer, at: number, value: number): void {
  if (value < 8 ** 11) block.write(`${value.toString(8).padStart(11, '0')}\0`, at, 'latin1')
  else {
    block.writeUInt8(0x80, at)
    block.writeBigUInt64BE(BigInt(value), at + 4)
  }
}
