import { constants } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asFileFailure, systemCode } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import { runTool } from '../base/process.ts'
import { SECTOR } from '../base/units.ts'
import { openImage, WORK_FORMATS } from '../formats/open-image.ts'
import type { MachineFiles } from './_qemu-arguments.ts'
import type { MachineOptions } from './machine.ts'

/** A directory of one machine, removed when it is disposed; the next one removes those of the dead. */
export interface MachineDirectory extends AsyncDisposable {
  readonly path: string
}

/** Fails with NO_SPACE, FILE_UNREADABLE. */
export async function openMachineDirectory(tempDir: string): Promise<MachineDirectory> {
  const family = join(tempDir, 'machines')
  try {
    await mkdir(tempDir, { recursive: true })
    await removeLeftovers(family)
    const parent = workingPath(family, 'machine')
    const path = await makeIn(parent)
    return {
      path,
      [Symbol.asyncDispose]: async () => {
        await rm(path, { recursive: true, force: true })
        await rmdir(parent).catch(() => {}) // other machines of this process may live in it
      },
    }
  } catch (error) {
    throw asFileFailure(error, tempDir)
  }
}

/** A new directory in `parent`, which another machine of this process may be removing just now. */
async function makeIn(parent: string): Promise<string> {
  for (;;) {
    await mkdir(parent, { recursive: true, mode: 0o700 })
    const path = await mkdtemp(join(parent, 'm')).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
      return undefined
    })
    if (path !== undefined) return path
  }
}

/**
 * Lays out what QEMU opens for a machine: an overlay that takes the guest's writes, the seed, the
 * variables of the firmware. Fails as `startMachine` says of images.
 */
export async function layMachineFiles(
  options: MachineOptions,
  directory: string,
): Promise<MachineFiles> {
  const files: MachineFiles = {}
  try {
    if (options.disk !== undefined) {
      files.overlay = join(directory, 'overlay.qcow2')
      const { path, format, growBy = 0 } = options.disk
      // Opened once by our own reader, which refuses what reaches for other files.
      await using image = await openImage(path, { format, among: WORK_FORMATS })
      const rounded = Math.ceil((image.disk.size + growBy) / SECTOR) * SECTOR
      await runTool(['qemu-img', 'create', '-q', '-f', 'qcow2', files.overlay, String(rounded)])
    }
    if (options.seed !== undefined) {
      files.seed = join(directory, 'seed.iso')
      await writeFile(files.seed, options.seed)
    }
    if (options.firmware !== 'bios') {
      const kept = options.variables
      if (kept === undefined) files.variables = join(directory, 'variables.fd')
      // What was kept stays as it is.
      const mode = kept === undefined ? 0 : constants.COPYFILE_EXCL
      await copyFile(options.firmware.variables, kept ?? files.variables ?? '', mode).catch(
        (error: unknown) => {
          if (systemCode(error) !== 'EEXIST') throw error
        },
      )
    }
    return files
  } catch (error) {
    throw asFileFailure(error, directory)
  }
}
