import { open } from 'node:fs/promises'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { formatSize, MiB } from '../../base/units.ts'
import type { BootFiles } from './boot-loader.ts'
import { makeFat16 } from './fat16.ts'
import {
  ALIGNMENT,
  GPT_TAIL,
  type GptPartition,
  makeGpt,
  PARTITION_TYPES,
  type Piece,
} from './gpt.ts'
import { makeGrubBios } from './grub-bios.ts'
import { type RootFileSystem, writeRootFileSystem } from './root-file-system.ts'

export interface DiskPlan extends Omit<RootFileSystem, 'offset' | 'size'> {
  /** Bytes of the whole disk; whole megabytes. */
  diskSize: number
  boot: BootFiles
}

/** Where the parts stand: the root last, so that it can grow with the disk. */
const BIOS = { number: 14, offset: ALIGNMENT, length: MiB }
const ESP = { number: 15, offset: 2 * MiB, length: 62 * MiB }
const ROOT = { number: 1, offset: 64 * MiB }
const MIN_ROOT = 64 * MiB

/**
 * Makes a raw disk that boots by the firmware it has boot files for: a GPT with a BIOS boot partition
 * and an EFI system partition, numbered as Debian's cloud images number them, and the root. The file
 * is sparse. Of the same tree it is the same bytes, unless its file system has a will of its own.
 * Fails with BUILD_FAILED (too small), NO_SPACE, TOOL_MISSING, INTERRUPTED.
 */
export async function makeDisk(plan: DiskPlan, context: Context): Promise<void> {
  const { disk, diskSize, boot, identity } = plan
  const end = Math.floor((diskSize - GPT_TAIL) / ALIGNMENT) * ALIGNMENT
  const root = { ...ROOT, length: end - ROOT.offset }
  if (root.length < MIN_ROOT)
    throw new Failure(
      'BUILD_FAILED',
      `a disk of ${formatSize(diskSize)} has no room for a root file system`,
      { fix: 'Make the disk larger: disk.size in the recipe, or --size.' },
    )
  const { root: rootId, bios, esp } = identity.partitionUuids
  const partitions: GptPartition[] = [
    { ...root, type: PARTITION_TYPES.rootX64, uuid: rootId, label: 'root' },
    ...(boot.bios ? [{ ...BIOS, type: PARTITION_TYPES.biosBoot, uuid: bios, label: 'bios' }] : []),
    ...(boot.uefi ? [{ ...ESP, type: PARTITION_TYPES.efiSystem, uuid: esp, label: 'esp' }] : []),
  ]
  const pieces = [
    ...makeGpt(diskSize, identity.diskUuid, partitions),
    ...(boot.bios ? makeGrubBios(boot.bios.bootImage, boot.bios.coreImage, BIOS) : []),
    ...(boot.uefi ? makeEsp(plan, boot.uefi) : []),
  ]
  await using file = await open(disk, 'w', 0o644)
  await file.truncate(diskSize)
  for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset)
  await writeRootFileSystem({ ...plan, offset: root.offset, size: root.length }, context)
}

function makeEsp(plan: DiskPlan, files: ReadonlyMap<string, Uint8Array>): Piece[] {
  const volume = {
    size: ESP.length,
    offset: ESP.offset,
    id: plan.identity.espId,
    label: 'EFI',
    time: plan.time,
  }
  return makeFat16(volume, files).map(({ offset, bytes }) => ({
    offset: ESP.offset + offset,
    bytes,
  }))
}
