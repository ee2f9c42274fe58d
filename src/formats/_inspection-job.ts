import { formatSize, SECTOR } from '../base/units.ts'
import { type Claim, PACKINGS } from './_claim.ts'
import { canBeGce, type Decision, type Level } from './_decide.ts'
import type { FindingList } from './_findings.ts'
import type { ExtentSink } from './_parse-stream.ts'
import type { SpoolOptions } from './_spool.ts'
import type { DiskParser, Limits } from './parser.ts'
import { loadParser } from './parsers.ts'
import type { PartitionTable } from './partitions.ts'

/** One inspection: what it goes by, and where it tells what it finds. */
export interface Job {
  readonly claim: Claim | undefined
  readonly limits: Limits
  readonly findings: FindingList
  readonly spool: SpoolOptions
  readonly now: () => Date
  /** Milliseconds of the clock at which it stops. */
  readonly deadline: number
  /** Where the guest's disk goes while it is inspected; whoever imports it gives one. */
  readonly guest?: ExtentSink | undefined
}

/** What a file turned out to be. */
export interface Outcome {
  readonly format: string
  readonly virtualSize?: number | undefined
  readonly partitions?: PartitionTable | undefined
  /** Bytes that a stream brought before the tables that explain them. */
  readonly spooled?: number | undefined
}

/** Whether what the file unpacks to, or holds, is inspected as well. */
export function descends({ kind, format }: Decision, level: Level): boolean {
  const { claim, unpacked } = level
  if (unpacked) return kind === 'archive' && canBeGce(level)
  if (kind === 'archive') return claim === undefined || claim.content === 'ova'
  if (kind !== 'packed') return false
  if (claim?.packing !== undefined) return PACKINGS[claim.packing] === format
  if (claim?.content === 'aki') return format === 'gzip'
  return claim === undefined || claim.content === 'ari'
}

/** Who takes the content apart, if that is a format with tables. */
export async function parserFor({ kind, format }: Decision): Promise<DiskParser | undefined> {
  return kind === 'disk' || kind === 'optical' ? await loadParser(format) : undefined
}

/** What people call it: `vmdk` also for its other kinds. */
export function nameOf({ format }: Pick<Decision, 'format'>): string {
  return format === 'vmdk-descriptor' ? 'vmdk' : format
}

/** Notes a raw disk that is larger than is believed. */
export function noteVirtualSize(size: number, { findings, limits }: Job): void {
  if (size <= limits.virtualSize) return
  findings.note('SIZE_LIMIT', {
    found: formatSize(size),
    expected: `at most ${formatSize(limits.virtualSize)}`,
  })
}

/** A disk is whole sectors: what is missing of the last one reads as zeros. */
export function wholeSectors(size: number): number {
  return Math.ceil(size / SECTOR) * SECTOR
}
