/** Where a build works: a directory beside the output, gone when the build is, however it ends. */
import { mkdir, open, realpath, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { asFileFailure, Failure, systemCode } from '../../base/failure.ts'
import { findWorkingFiles, workingPath } from '../../base/leftovers.ts'
import { removeTree } from './tree.ts'

export interface BuildPlace extends AsyncDisposable {
  readonly path: string
}

/** The files of a finished build, beside each other. */
export interface OutputPaths {
  image: string
  manifest: string
  sbom: string
}

/** `disk.qcow2`, `disk.manifest.json`, `disk.spdx.json`. */
export function outputPathsOf(image: string): OutputPaths {
  const stem = join(dirname(image), basename(image, extname(image)))
  return { image, manifest: `${stem}.manifest.json`, sbom: `${stem}.spdx.json` }
}

/**
 * Opens the place for a build of `output`, after removing what builds that were killed left there.
 * `namespace` are the words that make the caller the owner of all of a tree.
 * Fails with FILE_NOT_FOUND, FILE_UNREADABLE, IMAGE_BUSY, NO_SPACE.
 */
export async function openBuildPlace(
  output: string,
  namespace: readonly string[],
): Promise<BuildPlace> {
  try {
    const target = join(await realpath(dirname(output)), basename(output))
    for (const { path, alive } of await findWorkingFiles(target))
      if (!alive) await removeTree(path, namespace)
    const path = workingPath(target, 'build')
    await mkdir(path, { mode: 0o755 })
    const other = (await findWorkingFiles(target)).find((one) => one.alive && one.path !== path)
    if (other) {
      await removeTree(path, namespace)
      throw busy(output, other.pid)
    }
    return { path, [Symbol.asyncDispose]: () => removeTree(path, namespace) }
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw busy(output, process.pid)
    throw asFileFailure(error, output)
  }
}

function busy(output: string, pid: number): Failure {
  return new Failure('IMAGE_BUSY', `${output}: the process ${pid} is working on it`, {
    details: { path: output, pid },
  })
}

/**
 * Puts a finished image and its records under their names, the image last: where it is, all is.
 * Fails with NO_SPACE, FILE_UNREADABLE.
 */
export async function publish(
  place: BuildPlace,
  image: string,
  paths: OutputPaths,
  records: { manifest: object; sbom: object },
): Promise<void> {
  try {
    for (const name of ['manifest', 'sbom'] as const) {
      const beside = join(place.path, name)
      await writeFile(beside, `${JSON.stringify(records[name], undefined, 2)}\n`)
      await rename(beside, paths[name])
    }
    await rename(image, paths.image)
    await syncFile(dirname(paths.image))
  } catch (error) {
    throw asFileFailure(error, paths.image)
  }
}

/** Waits until a file, or the names in a directory, are on the disk for good. */
export async function syncFile(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}
