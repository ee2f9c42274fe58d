/**
 * What a file is, by what stands in it. All formats are asked at once, each about the first 68 KiB or
 * the last 1.5 KiB, and every answer counts: a file that two formats claim is one on which two
 * programs will disagree. Raw has no signature: it is what nothing here matches.
 */
import { KiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import { isDescriptorText } from './_descriptor-text.ts'

/** Bytes that detection looks at: from the start (btrfs stands last, at 64 KiB), and from the end. */
export const HEAD = 68 * KiB
export const TAIL = 3 * SECTOR

/**
 * What a signature stands for: `disk` can be parsed; `foreign` is known and never read; `packed` is a
 * compressed stream; `table` and `filesystem` stand at the head of any raw disk; `kernel` and
 * `ramdisk` are what a machine image of the old kind brings along.
 */
export type Kind =
  | 'disk'
  | 'foreign'
  | 'encrypted'
  | 'packed'
  | 'archive'
  | 'optical'
  | 'table'
  | 'filesystem'
  | 'kernel'
  | 'ramdisk'

export interface Match {
  readonly format: string
  readonly kind: Kind
  /** Byte of the file where the signature stands. */
  readonly at: number
}

/** The ends of a file of `size` bytes: up to HEAD and TAIL bytes of them. */
export interface Ends {
  readonly head: Uint8Array
  readonly tail: Uint8Array
  readonly size: number
}

/** Latin-1 bytes at an offset from the start or, if negative, from the end. */
interface Signature {
  readonly format: string
  readonly kind: Kind
  readonly magic: string
  readonly at: number
}

const SIGNATURES: readonly Signature[] = [
  { format: 'vhdx', kind: 'disk', magic: 'vhdxfile', at: 0 },
  { format: 'vmdk', kind: 'disk', magic: 'KDMV', at: 0 },
  { format: 'vdi', kind: 'disk', magic: '\x7f\x10\xda\xbe', at: 64 },
  { format: 'vhd', kind: 'disk', magic: 'conectix', at: 0 },
  { format: 'vhd', kind: 'disk', magic: 'conectix', at: -512 },
  { format: 'vhd', kind: 'disk', magic: 'conectix', at: -511 },
  { format: 'qed', kind: 'foreign', magic: 'QED\0', at: 0 },
  { format: 'cowd', kind: 'foreign', magic: 'COWD', at: 0 },
  { format: 'sesparse', kind: 'foreign', magic: '\xbe\xba\xfe\xca\0\0\0\0', at: 0 },
  { format: 'parallels', kind: 'foreign', magic: 'WithoutFreeSpace', at: 0 },
  { format: 'parallels', kind: 'foreign', magic: 'WithouFreSpacExt', at: 0 },
  { format: 'bochs', kind: 'foreign', magic: 'Bochs Virtual HD Image', at: 0 },
  { format: 'cloop', kind: 'foreign', magic: '#!/bin/sh\n#V2.0 Format', at: 0 },
  { format: 'dmg', kind: 'foreign', magic: 'koly', at: -512 },
  { format: 'wim', kind: 'foreign', magic: 'MSWIM\0\0\0', at: 0 },
  { format: 'ewf', kind: 'foreign', magic: 'EVF\x09\x0d\x0a\xff\0', at: 0 },
  { format: '7z', kind: 'foreign', magic: '7z\xbc\xaf\x27\x1c', at: 0 },
  { format: 'rar', kind: 'foreign', magic: 'Rar!\x1a\x07', at: 0 },
  { format: 'zip', kind: 'foreign', magic: 'PK\x03\x04', at: 0 },
  { format: 'zip', kind: 'foreign', magic: 'PK\x05\x06', at: 0 },
  { format: 'lz4', kind: 'foreign', magic: '\x04\x22\x4d\x18', at: 0 },
  { format: 'lz4', kind: 'foreign', magic: '\x02\x21\x4c\x18', at: 0 },
  { format: 'lzip', kind: 'foreign', magic: 'LZIP', at: 0 },
  { format: 'lzop', kind: 'foreign', magic: '\x89LZO\0', at: 0 },
  { format: 'luks', kind: 'encrypted', magic: 'LUKS\xba\xbe', at: 0 },
  { format: 'gzip', kind: 'packed', magic: '\x1f\x8b\x08', at: 0 },
  { format: 'zstd', kind: 'packed', magic: '\x28\xb5\x2f\xfd', at: 0 },
  { format: 'xz', kind: 'packed', magic: '\xfd7zXZ\0', at: 0 },
  { format: 'gpt', kind: 'table', magic: 'EFI PART', at: SECTOR },
  { format: 'gpt', kind: 'table', magic: 'EFI PART', at: 4 * KiB },
  { format: 'xfs', kind: 'filesystem', magic: 'XFSB', at: 0 },
  { format: 'btrfs', kind: 'filesystem', magic: '_BHRfS_M', at: 64 * KiB + 64 },
  { format: 'ext4', kind: 'filesystem', magic: '\x53\xef', at: 1080 },
  { format: 'ntfs', kind: 'filesystem', magic: 'NTFS    ', at: 3 },
  { format: 'exfat', kind: 'filesystem', magic: 'EXFAT   ', at: 3 },
  { format: 'squashfs', kind: 'filesystem', magic: 'hsqs', at: 0 },
  { format: 'kernel', kind: 'kernel', magic: '\x7fELF', at: 0 },
  { format: 'kernel', kind: 'kernel', magic: 'ARM\x64', at: 56 },
  { format: 'cpio', kind: 'ramdisk', magic: '070701', at: 0 },
  { format: 'cpio', kind: 'ramdisk', magic: '070702', at: 0 },
]

/** What takes more than a few bytes at one place to tell. */
type Rule = (head: Fields, tail: Fields, size: number) => Match | undefined

const RULES: readonly Rule[] = [
  qcow,
  descriptor,
  tar,
  optical,
  bzip2,
  skippableFrame,
  zipAtEnd,
  masterBootRecord,
  fat,
  bootableKernel,
  portableExecutable,
]

/** Everything the file could be, one match a format. None: it is raw, or too short for anything. */
export function detect({ head, tail, size }: Ends): Match[] {
  const start = new Fields(head, { name: 'head' })
  const end = new Fields(tail, { name: 'tail', start: size - tail.length })
  const found: Match[] = []
  const add = (match: Match | undefined) => {
    if (match && !found.some(({ format }) => format === match.format)) found.push(match)
  }
  for (const { format, kind, magic, at } of SIGNATURES) {
    const [fields, inside] = at < 0 ? [end, tail.length + at] : [start, at]
    if (inside >= 0 && fields.holds(inside, magic)) add({ format, kind, at: fields.start + inside })
  }
  for (const rule of RULES) add(rule(start, end, size))
  return found
}

/** Whether a match says that the file is more than a plain disk, kernel or ramdisk. */
export function isStructured({ kind }: Match): boolean {
  return !PLAIN.has(kind)
}

const PLAIN: ReadonlySet<Kind> = new Set(['table', 'filesystem', 'kernel', 'ramdisk'])

/** Version 1 is another format; versions nobody has specified are for the parser to refuse. */
function qcow(head: Fields): Match | undefined {
  if (!head.holds(0, 'QFI\xfb')) return undefined
  return head.holds(4, '\0\0\0\x01')
    ? { format: 'qcow', kind: 'foreign', at: 0 }
    : { format: 'qcow2', kind: 'disk', at: 0 }
}

function descriptor(head: Fields): Match | undefined {
  return isDescriptorText(head.bytes)
    ? { format: 'vmdk-descriptor', kind: 'foreign', at: 0 }
    : undefined
}

/** `ustar` at 257 and a check sum that is right: 6 octal digits at 148, summed with blanks there. */
function tar(head: Fields): Match | undefined {
  if (!head.holds(257, 'ustar') || head.bytes.length < SECTOR) return undefined
  return isTarHeader(head.bytes) ? { format: 'tar', kind: 'archive', at: 257 } : undefined
}

/** Whether the check sum of a tar header is right. */
export function isTarHeader(block: Uint8Array): boolean {
  const fields = new Fields(block, { name: 'tar header' })
  const digits = /^\s*([0-7]{1,7})[\s\0]*$/.exec(fields.chars(148, 8))
  let sum = 8 * 0x20
  for (let at = 0; at < SECTOR; at++) if (at < 148 || at >= 156) sum += fields.u8(at)
  return digits !== null && Number.parseInt(digits[1] ?? '', 8) === sum
}

/** Volume descriptors, 2 KiB each from 32 KiB on: CD001 of ISO 9660, NSR02 or NSR03 of UDF. */
function optical(head: Fields): Match | undefined {
  for (let at = 32 * KiB; at + 2 * KiB <= HEAD; at += 2 * KiB)
    if (['CD001', 'NSR02', 'NSR03'].some((magic) => head.holds(at + 1, magic)))
      return { format: 'iso', kind: 'optical', at: at + 1 }
  return undefined
}

/** `BZh`, the level, and the digits of π (a block) or of its root (an empty stream). */
function bzip2(head: Fields): Match | undefined {
  if (!/^BZh[1-9]$/.test(head.chars(0, Math.min(4, head.bytes.length)))) return undefined
  return head.holds(4, '1AY&SY') || head.holds(4, '\x17rE8P\x90')
    ? { format: 'bzip2', kind: 'packed', at: 0 }
    : undefined
}

/** zstd streams may begin with frames to skip: 50 to 5f 2a 4d 18. */
function skippableFrame(head: Fields): Match | undefined {
  const isOne = head.holds(1, '\x2a\x4d\x18') && (head.u8(0) & 0xf0) === 0x50
  return isOne ? { format: 'zstd', kind: 'packed', at: 0 } : undefined
}

/**
 * A zip's directory stands at its end, so anything can stand before it. Offset, size, field of its
 * last record: 0 4 `PK\5\6`, 12 4 size of the directory, 16 4 its offset, 20 2 length of the comment
 * that follows and ends the file.
 */
function zipAtEnd(_head: Fields, tail: Fields, size: number): Match | undefined {
  const { buffer, byteOffset, length } = tail.bytes
  const bytes = Buffer.from(buffer, byteOffset, length)
  const before = (at: number) => (at < 0 ? -1 : bytes.lastIndexOf('PK\x05\x06', at, 'latin1'))
  for (let at = before(length - 22); at >= 0; at = before(at - 1)) {
    const little = new Fields(tail.bytes, { name: tail.name, start: tail.start })
    const directory = little.u32(at + 12)
    const ends = at + 22 + little.u16(at + 20) === tail.bytes.length
    if (ends && directory > 0 && directory + little.u32(at + 16) <= size - (tail.bytes.length - at))
      return { format: 'zip', kind: 'foreign', at: tail.start + at }
  }
  return undefined
}

/**
 * A partition table: 55 aa at 510, boot flags 00 or 80, and an entry that is in use. The fourth
 * entry alone is none when a Linux kernel follows, whose set-up header lies over it.
 */
function masterBootRecord(head: Fields): Match | undefined {
  if (!head.holds(510, '\x55\xaa') || isFat(head)) return undefined
  const entries = [446, 462, 478, 494]
  if (entries.some((at) => (head.u8(at) & 0x7f) !== 0)) return undefined
  const used = entries.filter((at) => head.u8(at + 4) !== 0)
  if (used.length === 0 || (used[0] === 494 && head.holds(514, 'HdrS'))) return undefined
  return { format: 'mbr', kind: 'table', at: 446 }
}

function fat(head: Fields): Match | undefined {
  return isFat(head) ? { format: 'vfat', kind: 'filesystem', at: 0 } : undefined
}

/** Jump, sectors of 512 to 4096 bytes, clusters of a power of two, one or two tables, media f0 on. */
function isFat(head: Fields): boolean {
  if (!head.holds(510, '\x55\xaa') || head.bytes.length < SECTOR) return false
  return (
    (head.u8(0) === 0xe9 || (head.u8(0) === 0xeb && head.u8(2) === 0x90)) &&
    isPower(head.u16(11)) &&
    head.u16(11) >= SECTOR &&
    head.u16(11) <= 4 * KiB &&
    isPower(head.u8(13)) &&
    (head.u8(16) === 1 || head.u8(16) === 2) &&
    head.u8(21) >= 0xf0
  )
}

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0
}

/** Linux for x86: the boot sector's 55 aa at 510, then `HdrS`. */
function bootableKernel(head: Fields): Match | undefined {
  const isOne = head.holds(510, '\x55\xaa') && head.holds(514, 'HdrS')
  return isOne ? { format: 'kernel', kind: 'kernel', at: 514 } : undefined
}

/** A program for EFI: `MZ`, and `PE` where the number at 60 says. */
function portableExecutable(head: Fields): Match | undefined {
  if (!head.holds(0, 'MZ') || head.bytes.length < 64) return undefined
  return head.holds(head.u32(60), 'PE\0\0')
    ? { format: 'kernel', kind: 'kernel', at: 0 }
    : undefined
}
