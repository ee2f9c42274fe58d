import { crc32 } from 'node:zlib'
import { isFailure } from '../base/failure.ts'
import { KiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import { detect, HEAD, TAIL } from './_detect.ts'
import type { FindingList } from './_findings.ts'
import { NotKept } from './_kept-disk.ts'
import { type PartitionTable, readPartitions } from './partitions.ts'

/**
 * The partitions of a guest's disk, with everything that is wrong about them as findings: entries
 * that overlap or lie behind the end, check sums, and a backup of a GPT that is missing, behind the
 * end (the upload was cut) or another table. `where` says in which bytes offsets count.
 */
export async function checkPartitions(
  disk: Source,
  findings: FindingList,
  where: 'file' | 'guest',
): Promise<PartitionTable | undefined> {
  const head = await disk.read(0, Math.min(HEAD, disk.size))
  const tail = await disk.read(Math.max(0, disk.size - TAIL), Math.min(TAIL, disk.size))
  const tables = detect({ head, tail, size: disk.size }).filter(({ kind }) => kind === 'table')
  if (tables.length === 0) return undefined
  const note = noteIn(findings, where)
  try {
    const table = await readPartitions(disk)
    for (const odd of table.notes) note('PARTITION_TABLE', undefined, odd)
    if (table.kind === 'gpt') {
      checkHeader(disk, head, table, note)
      await checkBackup(disk, head, note)
    } else if (tables.some(({ format }) => format === 'gpt'))
      note('ODD', undefined, 'a GPT that the MBR does not mention', 'warn')
    return table
  } catch (error) {
    if (error instanceof NotKept) {
      note('ODD', undefined, 'a partition table that points back, which a stream cannot follow')
      return undefined
    }
    if (!isFailure(error)) throw error
    const { offset } = error.details
    note('PARTITION_TABLE', typeof offset === 'number' ? offset : undefined, error.message)
    return undefined
  }
}

type Note = (
  code: 'PARTITION_TABLE' | 'ODD',
  at: number | undefined,
  found: string,
  severity?: 'warn',
) => void

/** Offsets of the guest's disk are no bytes of the file, and are said in words. */
function noteIn(findings: FindingList, where: 'file' | 'guest'): Note {
  return (code, at, found, severity) =>
    findings.note(code, {
      ...(at !== undefined && where === 'file' && { at }),
      found: where === 'file' || at === undefined ? found : `${found} (of the guest's disk)`,
      ...(severity && { severity }),
    })
}

/** Partition types of an MBR: none, and "a GPT stands here". */
const [UNUSED, PROTECTIVE] = [0, 0xee]
const ENTRY_SECTORS = 2

/**
 * What a GPT says of itself (8 version, 48 last sector for partitions) and what an MBR says beside it:
 * programs that know only the MBR must see partitions that the GPT has as well.
 */
function checkHeader(disk: Source, head: Uint8Array, table: PartitionTable, note: Note): void {
  const sectorSize = [512, 4 * KiB].find((size) => hasHeader(head, size))
  if (sectorSize === undefined) return
  const header = new Fields(head, { name: 'GPT header' }).part('GPT', sectorSize, 92)
  const fault = (at: number, found: string) => note('PARTITION_TABLE', at, found)
  if (header.u32(8) !== 0x10000) fault(sectorSize + 8, `version 0x${header.u32(8).toString(16)}`)
  if (Number(header.u64(48)) * sectorSize >= disk.size)
    fault(sectorSize + 48, `room for partitions up to sector ${header.u64(48)}`)
  for (const { number, offset } of table.partitions)
    if (offset < ENTRY_SECTORS * sectorSize)
      fault(sectorSize, `partition ${number} at byte ${offset}, on the table itself`)
  const mbr = new Fields(head, { name: 'MBR' })
  for (const at of [446, 462, 478, 494]) {
    const type = mbr.u8(at + 4)
    const [start, count] = [mbr.u32(at + 8), mbr.u32(at + 12)]
    const [offset, length] = [start * sectorSize, count * sectorSize]
    const isKnown = table.partitions.some(
      (partition) => partition.offset === offset && partition.length === length,
    )
    if (type !== UNUSED && type !== PROTECTIVE && !isKnown)
      fault(at, `a partition at sector ${start} of the MBR that the GPT does not have`)
  }
}

/**
 * Compares a GPT with its backup: header 24 own sector, 32 the other's sector, 56 GUID of the disk,
 * 88 check sum of the entries. Source: UEFI specification, 5.3.2.
 */
async function checkBackup(disk: Source, head: Uint8Array, note: Note): Promise<void> {
  const sectorSize = [512, 4 * KiB].find((size) => hasHeader(head, size))
  if (sectorSize === undefined) return
  const primary = new Fields(head, { name: 'GPT header' }).part('GPT', sectorSize, 92)
  const sector = primary.u64(32)
  const start = Number(sector) * sectorSize
  const fault = (found: string) => note('PARTITION_TABLE', sectorSize + 32, found)
  if (sector <= 1n) return fault(`the backup of the GPT at byte ${start}, where it stands itself`)
  if (start + sectorSize > disk.size)
    return fault(`the backup of the GPT at byte ${start}, behind the end of the disk`)
  const backup = new Fields(await disk.read(start, sectorSize), { name: 'GPT backup' })
  const size = backup.u32(12)
  if (!backup.holds(0, 'EFI PART') || size < 92 || size > sectorSize)
    return fault(`no backup of the GPT at byte ${start}`)
  const plain = Buffer.from(backup.slice(0, size))
  plain.writeUInt32LE(0, 16)
  if (crc32(plain) !== backup.u32(16) || backup.u64(24) !== sector)
    return fault(`a damaged backup of the GPT at byte ${start}`)
  const differs = [40, 48, 56, 64].some((at) => backup.u64(at) !== primary.u64(at))
  if (differs || backup.u32(88) !== primary.u32(88))
    return fault(`a backup of the GPT at byte ${start} that is another table`)
  if (start + sectorSize < Math.floor(disk.size / sectorSize) * sectorSize)
    note('ODD', undefined, 'a disk that goes on behind the backup of its GPT', 'warn')
}

function hasHeader(head: Uint8Array, at: number): boolean {
  return Buffer.from(head.subarray(at, at + 8)).toString('latin1') === 'EFI PART'
}
