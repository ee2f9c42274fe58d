import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../../base/process.ts'
import { GiB, KiB, MiB } from '../../base/units.ts'

/** Good images of one disk of 1 GiB: data at 0, 64 KiB and 600 MiB, so two tables in most formats. */
export interface BaseImages {
  readonly raw: Buffer
  readonly qcow2: Buffer
  readonly qcow2Compressed: Buffer
  readonly qcow2Zstd: Buffer
  /** Version 2; with extended L2 entries; with a bitmap. */
  readonly qcow2Old: Buffer
  readonly qcow2Extended: Buffer
  readonly qcow2Bitmap: Buffer
  readonly vdi: Buffer
  readonly vhd: Buffer
  readonly vhdFixed: Buffer
  readonly vhdx: Buffer
  readonly vmdk: Buffer
  readonly vmdkStream: Buffer
}

/** Makes them with qemu-img, in a directory that the caller removes. */
export async function makeBaseImages(directory: string): Promise<BaseImages> {
  const disk = join(directory, 'disk.raw')
  const small = join(directory, 'small.raw')
  await writeFile(disk, '')
  await truncate(disk, GiB)
  const file = await open(disk, 'r+')
  for (const [index, at] of [0, 64 * KiB, 600 * MiB].entries())
    await file.write(Buffer.alloc(64 * KiB, 0x51 + index), 0, 64 * KiB, at)
  await file.close()
  await writeFile(small, Buffer.alloc(MiB, 0x5a))
  const convert = async (format: string, options: readonly string[] = [], from = disk) => {
    const to = join(directory, 'image')
    await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', format, ...options, from, to])
    return await readFile(to)
  }
  const withBitmap = async () => {
    await convert('qcow2')
    const image = join(directory, 'image')
    await runTool(['qemu-img', 'bitmap', '--add', '-f', 'qcow2', image, 'backup'])
    return await readFile(image)
  }
  return {
    raw: await readFile(small),
    qcow2: await convert('qcow2'),
    qcow2Compressed: await convert('qcow2', ['-c']),
    qcow2Zstd: await convert('qcow2', ['-c', '-o', 'compression_type=zstd']),
    qcow2Old: await convert('qcow2', ['-o', 'compat=0.10']),
    qcow2Extended: await convert('qcow2', ['-o', 'extended_l2=on']),
    qcow2Bitmap: await withBitmap(),
    vdi: await convert('vdi'),
    vhd: await convert('vpc', ['-o', 'force_size=on']),
    vhdFixed: await convert('vpc', ['-o', 'subformat=fixed,force_size=on'], small),
    vhdx: await convert('vhdx', ['-o', 'block_size=1M']),
    vmdk: await convert('vmdk'),
    vmdkStream: await convert('vmdk', ['-o', 'subformat=streamOptimized']),
  }
}
