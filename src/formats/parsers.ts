import type { DiskFormatName, DiskParser } from './parser.ts'

/** Every parser, in no order that matters: which one is asked is decided by what the file is. */
export const PARSERS: readonly DiskParser[] = []

/** The parser of a format, if there is one. */
export function parserOf(format: DiskFormatName): DiskParser | undefined {
  return PARSERS.find(({ name }) => name === format)
}
