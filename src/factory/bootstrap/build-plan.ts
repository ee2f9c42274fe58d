/** Everything about a build that is fixed before it begins. */
import { createHash } from 'node:crypto'
import { extname } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { MiB, parseSize } from '../../base/units.ts'
import { resolveArguments } from '../../recipes/argument-values.ts'
import type { BaseKey } from '../../recipes/base-schema.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { type DiskIdentity, toDiskIdentity } from './disk-identity.ts'
import type { FileSystemType } from './tree-builder.ts'

export interface BuildPlan {
  base: BaseKey
  boot: readonly ('bios' | 'uefi')[]
  fileSystem: FileSystemType
  /** Bytes; whole megabytes. */
  diskSize: number
  format: 'raw' | 'qcow2'
  /** SHA-256 of all that the image is made from but the packages. */
  digest: string
  identity: DiskIdentity
}

/** Formats of an image by the ending of its name. */
export const FORMATS: Readonly<Record<string, 'raw' | 'qcow2'>> = {
  '.raw': 'raw',
  '.img': 'raw',
  '.qcow2': 'qcow2',
}

const DEFAULT_SIZE = '2G'

/**
 * Plans the build of a recipe. `size` (bytes) stands above the recipe's own.
 * Fails with USAGE, ARGUMENT_INVALID.
 */
export function planBuild(
  recipe: Recipe,
  options: { output: string; size?: number | undefined; values: ReadonlyMap<string, string> },
): BuildPlan {
  if (recipe.base === undefined)
    throw new Failure('USAGE', `${recipe.file} has no 'base', so nothing can be built from it`, {
      fix: 'Add `base:` to say which system it is (docs/recipes.md), or use `ingot pack` on an image.',
    })
  const { base, disk = {} } = recipe
  const format = FORMATS[extname(options.output).toLowerCase()]
  if (format === undefined)
    throw new Failure(
      'USAGE',
      `--output ${options.output}: wanted a name that ends in ${Object.keys(FORMATS).join(', ')}`,
    )
  const diskSize = Math.ceil((options.size ?? parseSize(disk.size ?? DEFAULT_SIZE)) / MiB) * MiB
  const fileSystem = disk.file_system ?? 'ext4'
  const args = resolveArguments(recipe.args, options.values).masked()
  const digest = createHash('sha256')
    .update(JSON.stringify([recipe.digest, base, fileSystem, diskSize, args]))
    .digest('hex')
  return {
    base,
    boot: base.boot ?? ['bios', 'uefi'],
    fileSystem,
    diskSize,
    format,
    digest,
    identity: toDiskIdentity(digest),
  }
}
