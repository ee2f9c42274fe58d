import { Failure } from '../base/failure.ts'
import { SECTOR } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { readGpt } from './_gpt.ts'
import { readMbr } from './_mbr.ts'

export interface Partition {
  /** As the kernel counts: `/dev/sda3` is number 3. Logical partitions start at 5. */
  number: number
  /** Bytes from the start of the disk. */
  offset: number
  length: number
  /** What the table says it is for: a GUID in lower case, or the MBR's type (`0x83`). */
  type: string
  /** As fstab's PARTUUID spells it. */
  uuid: string
  /** PARTLABEL; empty in an MBR. */
  label: string
}

export interface PartitionTable {
  /** `none`: no table; a file system may fill the whole disk. */
  kind: 'gpt' | 'mbr' | 'none'
  /** In the order of their numbers. */
  partitions: readonly Partition[]
  /** What was odd but harmless, one sentence each. */
  notes: readonly string[]
}

/**
 * The partitions of a disk. Everything is checked: check sums of a GPT and its backup, chains of
 * logical partitions, that each lies on the disk and apart from the others.
 * Fails with IMAGE_TRUNCATED when one ends behind the disk, IMAGE_UNSAFE when the table contradicts
 * itself, IMAGE_UNREADABLE when neither GPT can be used.
 */
export async function readPartitions(disk: Source): Promise<PartitionTable> {
  if (disk.size < 2 * SECTOR) return { kind: 'none', partitions: [], notes: [] }
  const mbr = await readMbr(disk)
  if (mbr === undefined) return { kind: 'none', partitions: [], notes: [] }
  const table: PartitionTable =
    mbr === 'protective'
      ? { kind: 'gpt', ...(await readGpt(disk)) }
      : { kind: 'mbr', partitions: mbr, notes: [] }
  for (const partition of table.partitions) checkInside(partition, disk)
  checkApart(table.partitions, disk)
  return table
}

function checkInside({ number, offset, length }: Partition, disk: Source): void {
  const end = offset + length
  if (end <= disk.size) return
  throw new Failure(
    'IMAGE_TRUNCATED',
    `${disk.name}: partition ${number} ends at byte ${end}, but the disk ends at byte ${disk.size}`,
    { details: { partition: number, offset: end, size: disk.size } },
  )
}

function checkApart(partitions: readonly Partition[], disk: Source): void {
  const inOrder = partitions.toSorted((a, b) => a.offset - b.offset)
  for (const [index, partition] of inOrder.entries()) {
    const next = inOrder[index + 1]
    if (next === undefined || partition.offset + partition.length <= next.offset) continue
    throw new Failure(
      'IMAGE_UNSAFE',
      `${disk.name}: partitions ${partition.number} and ${next.number} overlap at byte ${next.offset}`,
      { details: { offset: next.offset } },
    )
  }
}
