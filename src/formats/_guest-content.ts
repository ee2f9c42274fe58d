import { SECTOR } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { detect, type Ends, HEAD, isStructured, TAIL } from './_detect.ts'
import type { FindingList } from './_findings.ts'
import { checkPartitions } from './_partition-check.ts'
import type { PartitionTable } from './partitions.ts'

/** Both ends of a file or disk, as detection wants them. */
export async function readEnds(source: Source): Promise<Ends> {
  const { size } = source
  const head = await source.read(0, Math.min(size, HEAD))
  const tail = await source.read(Math.max(0, size - TAIL), Math.min(size, TAIL))
  return { head, tail, size }
}

/**
 * Looks at the guest's disk inside an image: a second image at its head (a program that guesses the
 * format of the raw disk would open that one), encryption as a whole, its partitions.
 */
export async function checkGuest(
  disk: Source,
  findings: FindingList,
): Promise<PartitionTable | undefined> {
  for (const match of detect(await readEnds(disk)).filter(isStructured))
    findings.note(match.kind === 'encrypted' ? 'ENCRYPTED' : 'NESTED_FORMAT', {
      found: `${match.format} at byte ${match.at} of the guest's disk`,
    })
  return await checkPartitions(disk, findings, 'guest')
}

/**
 * Looks at a file that is a raw disk itself, or a kernel or ramdisk (`format`), which are no disks.
 * Other formats in it were told apart before.
 */
export async function checkRaw(
  disk: Source,
  format: string,
  findings: FindingList,
): Promise<PartitionTable | undefined> {
  if (format === 'aki' || format === 'ari') return undefined
  const { size } = disk
  if (size < SECTOR)
    findings.note('TRUNCATED', { found: `a disk of ${size} bytes`, expected: 'a sector at least' })
  else if (size % SECTOR !== 0)
    findings.note('NOT_PADDED', {
      at: size,
      found: `${size} bytes`,
      expected: `${Math.ceil(size / SECTOR) * SECTOR}`,
    })
  return await checkPartitions(disk, findings, 'file')
}
