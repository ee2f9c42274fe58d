import { KiB, SECTOR } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
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
  if (size % SECTOR !== 0)
    findings.note('NOT_PADDED', {
      at: size,
      found: `${size} bytes`,
      expected: `${Math.ceil(size / SECTOR) * SECTOR}`,
    })
  if (format === 'ami') await checkFileSystemSize(disk, findings)
  return await checkPartitions(disk, findings, 'file')
}

/**
 * A machine image is one file system, all of it: ext (1024: 4 blocks, 24 bytes of a block as a power of
 * two above 1024, 0x60 features, 0x150 upper half of blocks), xfs (4 bytes of a block, 8 blocks,
 * big-endian), btrfs (65536: 112 bytes of all).
 */
async function checkFileSystemSize(disk: Source, findings: FindingList): Promise<void> {
  const head = await disk.read(0, Math.min(disk.size, HEAD))
  const little = new Fields(head, { name: 'file system' })
  const big = new Fields(head, { name: 'file system', order: 'big' })
  const format = detect({ head, tail: head.subarray(0, 0), size: disk.size }).find(
    ({ kind }) => kind === 'filesystem',
  )?.format
  let size = 0
  if (format === 'ext4') {
    const isWide = (little.u32(1024 + 0x60) & 0x80) !== 0
    const blocks = little.u32(1024 + 4) + (isWide ? little.u32(1024 + 0x150) * 2 ** 32 : 0)
    size = blocks * 2 ** (10 + little.u32(1024 + 24))
  } else if (format === 'xfs') size = big.u32(4) * Number(big.u64(8))
  else if (format === 'btrfs') size = Number(little.u64(64 * KiB + 112))
  if (size > disk.size)
    findings.note('TRUNCATED', {
      found: `a file of ${disk.size} bytes`,
      expected: `${format} of ${size} bytes`,
    })
}
