/** Disk images written by qemu-img, of a disk with a bit of everything. */
import { readFile, writeFile } from 'node:fs/promises'
import { runTool } from '../base/process.ts'
import { KiB, MiB } from '../base/units.ts'
import { noise } from './contract-tree.ts'
import { tempDir } from './temp-dir.ts'

/** Noise, text that compresses, zeros between them and at odd places. At least 3 MiB. */
export function sampleDisk(size: number): Buffer {
  const disk = Buffer.alloc(size)
  noise(300 * KiB).copy(disk, 0)
  disk.fill('all work and no play ', MiB, MiB + 400 * KiB)
  noise(777).copy(disk, 2 * MiB + 12345)
  disk.fill('the end', size - 600)
  return disk
}

export async function qemuImg(...argv: string[]): Promise<void> {
  await runTool(['qemu-img', ...argv])
}

/** Writes images of `disk` in a format of qemu-img, into a directory of the test file's own. */
export async function qemuImages(format: string, disk: Buffer) {
  const path = await tempDir()
  await writeFile(path('disk.raw'), disk)
  let made = 0
  const newPath = () => path(`${++made}.${format}`)
  return {
    path,
    /** The raw file the images are made of. */
    disk: path('disk.raw'),
    async converted(...options: string[]): Promise<string> {
      const image = newPath()
      await qemuImg('convert', '-f', 'raw', '-O', format, ...options, path('disk.raw'), image)
      return image
    },
    /** An image without content. `size`: as qemu-img wants it. */
    async created(size: string, ...options: string[]): Promise<string> {
      const image = newPath()
      await qemuImg('create', '-q', '-f', format, ...options, image, size)
      return image
    },
    /** The disk inside an image, as qemu-img reads it. */
    async contentOf(image: string): Promise<Buffer> {
      await qemuImg('convert', '-f', format, '-O', 'raw', image, path('judge.raw'))
      return await readFile(path('judge.raw'))
    },
  }
}
