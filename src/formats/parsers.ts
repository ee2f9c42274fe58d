import type { DiskFormatName, DiskParser } from './parser.ts'
import { isoParser } from './parsers/iso.ts'
import { qcow2Parser } from './parsers/qcow2.ts'
import { rawParser } from './parsers/raw.ts'
import { vdiParser } from './parsers/vdi.ts'
import { vhdParser } from './parsers/vhd.ts'
import { vhdxParser } from './parsers/vhdx.ts'
import { vmdkParser } from './parsers/vmdk.ts'

/** Every parser, in no order that matters: which one is asked is decided by what the file is. */
export const PARSERS: readonly DiskParser[] = [
  rawParser,
  qcow2Parser,
  vdiParser,
  vhdParser,
  vhdxParser,
  vmdkParser,
  isoParser,
]

/** The parser of a format, if there is one. */
export function parserOf(format: DiskFormatName): DiskParser | undefined {
  return PARSERS.find(({ name }) => name === format)
}
