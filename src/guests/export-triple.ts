/** A guest as the parts that EC2 and Eucalyptus once booted: root file system, kernel, ramdisk. */
import { stat, writeFile } from 'node:fs/promises'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { writeWholeFiles } from '../bytes/whole-file.ts'
import { openImage } from '../formats/open-image.ts'
import type { Disk } from '../formats/open-disk.ts'
import { openSparseWriter } from '../formats/sparse-writer.ts'
import { surveyDisk } from '../remotes/find-root.ts'
import type { Remote } from '../remotes/remote.ts'
import { type ExportFormat, exportPathsOf } from './export-formats.ts'
import type { Exported } from './export-root.ts'
import { readGuestKernel } from './guest-kernel.ts'

const PIECE = MiB

/**
 * Writes the root file system of an image as it stands on the disk, without a partition table, into
 * `output` (`NAME.ami`), and its newest kernel and ramdisk beside it (`NAME.aki`, `NAME.ari`).
 * `remote` is the open guest of the same image.
 *
 * Fails with USAGE, NO_OPERATING_SYSTEM (no kernel), FILE_SYSTEM_UNSUPPORTED (the root stands in a
 * volume group), and as `openImage` and `writeWholeFiles` do.
 */
export async function exportTriple(
  remote: Remote,
  format: ExportFormat,
  { image, output }: { image: string; output: string },
  context: Context,
): Promise<Exported> {
  const { paths } = exportPathsOf(format, output)
  const { kernel, ramdisk } = await readGuestKernel(remote)
  await using opened = await openImage(image)
  const place = await placeOfRoot(opened.disk, remote)
  context.progress({ kind: 'phase', name: 'write', detail: output })
  const sizes = await writeWholeFiles(
    paths,
    'export',
    async (working) => {
      const [machine = '', ...others] = working
      await writeWindow(opened.disk, place, machine, context)
      for (const [index, bytes] of [kernel, ramdisk].entries())
        await writeFile(others[index] ?? '', bytes, { flag: 'wx' })
      return await Promise.all(working.map(async (path) => (await stat(path)).size))
    },
    { sync: false },
  )
  const files = paths.map((path, index) => ({ path, size: sizes[index] ?? 0 }))
  return { files, left: [] }
}

interface Place {
  readonly offset: number
  readonly length: number
}

async function placeOfRoot(disk: Disk, remote: Remote): Promise<Place> {
  const device = remote.rootFileSystem
  const root = (await surveyDisk(disk)).find((one) => one.device === device)
  if (root?.offset !== undefined && root.length !== undefined)
    return { offset: root.offset, length: root.length }
  throw new Failure(
    'FILE_SYSTEM_UNSUPPORTED',
    `${remote.name}: the root ${device} stands inside a volume group, not on the disk itself`,
    { fix: 'Export another form, such as rootfs.tar.xz.' },
  )
}

/** A part of a disk as a file of its own, with holes where it has zeros. */
async function writeWindow(
  disk: Disk,
  { offset, length }: Place,
  path: string,
  { signal }: Context,
): Promise<void> {
  await using writer = await openSparseWriter(path, { sync: false })
  const end = offset + length
  for (const extent of disk.extents()) {
    const to = Math.min(extent.offset + extent.length, end)
    for (let at = Math.max(extent.offset, offset); at < to; at += PIECE) {
      if (signal.aborted) throw new Failure('INTERRUPTED', 'writing was interrupted')
      await writer.write(at - offset, await disk.read(at, Math.min(PIECE, to - at)))
    }
  }
  await writer.finish(length)
}
