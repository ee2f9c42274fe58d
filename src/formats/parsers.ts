import type { DiskFormatName, DiskParser } from './parser.ts'

/**
 * Every parser, loaded when it is first asked, since no more than one of them is asked about a file; who that is
 * is decided by what the file is.
 */
const PARSERS: Readonly<Record<DiskFormatName, () => Promise<DiskParser>>> = {
  raw: async () => (await import('./parsers/raw.ts')).rawParser,
  qcow2: async () => (await import('./parsers/qcow2.ts')).qcow2Parser,
  vdi: async () => (await import('./parsers/vdi.ts')).vdiParser,
  vhd: async () => (await import('./parsers/vhd.ts')).vhdParser,
  vhdx: async () => (await import('./parsers/vhdx.ts')).vhdxParser,
  vmdk: async () => (await import('./parsers/vmdk.ts')).vmdkParser,
  iso: async () => (await import('./parsers/iso.ts')).isoParser,
}

/** The parser of a format, if there is one. */
export async function loadParser(format: string): Promise<DiskParser | undefined> {
  return isParsed(format) ? await PARSERS[format]() : undefined
}

function isParsed(format: string): format is DiskFormatName {
  return Object.hasOwn(PARSERS, format)
}
