import { Failure } from '../base/failure.ts'
import type { DiskFormatName } from './parser.ts'

/** How the whole of a file can be compressed: endings as people write them, and what they stand for. */
export const PACKINGS = { gz: 'gzip', xz: 'xz', zst: 'zstd', bz2: 'bzip2' } as const
export type PackingEnding = keyof typeof PACKINGS
export type StreamPacking = (typeof PACKINGS)[PackingEnding]

/** The triple of old clouds: a file system, the kernel that goes with it, and its ramdisk. */
export type MachinePart = 'ami' | 'aki' | 'ari'

const DISKS: readonly DiskFormatName[] = ['raw', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'iso']
const PARTS: readonly MachinePart[] = ['ami', 'aki', 'ari']

/** What somebody says a file is. */
export interface Claim {
  /** As it was said: `qcow2`, `raw.gz`. */
  readonly text: string
  /** What is there once nothing is compressed any more. */
  readonly content: DiskFormatName | MachinePart | 'ova' | 'gce'
  readonly packing?: PackingEnding
}

/** Every claim that can be made. */
export const CLAIMS: readonly string[] = [
  ...DISKS,
  ...PARTS,
  'ova',
  'gce',
  ...DISKS.flatMap((disk) => Object.keys(PACKINGS).map((ending) => `${disk}.${ending}`)),
]

/** Reads a claim. Fails with FORMAT_UNKNOWN. */
export function parseClaim(text: string): Claim {
  if (!CLAIMS.includes(text))
    throw new Failure('FORMAT_UNKNOWN', `an image cannot be claimed to be '${text}'`, {
      details: { claim: text, known: CLAIMS },
      fix: `Say one of ${[...DISKS, ...PARTS, 'ova', 'gce'].join(', ')}, or a disk format with .gz, .xz, .zst or .bz2 (qcow2.gz).`,
    })
  const [content, packing] = text === 'gce' ? ['gce', 'gz'] : text.split('.')
  return {
    text,
    content: content as Claim['content'],
    ...(packing !== undefined && { packing: packing as PackingEnding }),
  }
}

/** The ending of a compression. */
export function endingOf(packing: string): PackingEnding | undefined {
  const endings = Object.keys(PACKINGS) as PackingEnding[]
  return endings.find((ending) => PACKINGS[ending] === packing)
}
