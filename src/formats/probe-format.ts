import type { Source } from '../bytes/source.ts'
import { detect, isStructured } from './_detect.ts'
import { readEnds } from './_guest-content.ts'

/** A format that bytes tell by themselves (`qcow2`, `vmdk`, `gzip`, …); undefined for all others. */
export interface ProbedFormat {
  readonly format: string
  /** The byte where its signature stands. */
  readonly offset: number
}

/**
 * A cheap look at the start and the end of a file. Raw disks have no signature: they are what
 * nothing matches, whatever file system or partition table they hold.
 */
export async function probeFormat(file: Source): Promise<ProbedFormat | undefined> {
  const match = detect(await readEnds(file)).find(isStructured)
  if (match === undefined) return undefined
  const format = match.format === 'vmdk-descriptor' ? 'vmdk' : match.format
  return { format, offset: match.at }
}
