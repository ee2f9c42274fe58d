/**
 * Tree builders: what makes an operating system out of nothing, as a directory tree. `run-build.ts`
 * calls one, carries out the recipe in the tree, cleans it and makes a disk of it; a builder knows
 * nothing of recipes and disks, only which file system the tree will have as its root.
 */
import type { TSchema } from 'typebox'
import type { Context } from '../../base/context.ts'
import type { DiskKey } from '../../recipes/base-schema.ts'
import type { DiskIdentity } from './disk-identity.ts'

/** A file system that a root can have. */
export type FileSystemType = NonNullable<DiskKey['file_system']>

/** What a builder is given. */
export interface OsJob {
  /** A directory, not there yet, that becomes the guest's root. */
  root: string
  /** A directory for what is needed on the way. */
  scratch: string
  /** A directory for what is worth keeping between builds. */
  cacheDir: string
  /** Words in front of every command that works on the tree: they make the caller its root. */
  launcher: readonly string[]
  identity: DiskIdentity
  fileSystem: FileSystemType
  /** Proxies of the caller (`http_proxy`, `no_proxy`, …), for downloads. */
  proxies: Readonly<Record<string, string>>
}

/** What a builder made. */
export interface BuiltOs {
  /** The time that everything made by the build shall bear. */
  time: Date
  /** Files in the tree that serve the build only, and are to be removed at its end. */
  temporaryFiles: readonly string[]
  /** Environment that commands in the tree need during the build: proxies. */
  environment: Readonly<Record<string, string>>
  /** What it was made from: mirrors with their suites. */
  sources: readonly { uri: string; suites: readonly string[]; components: readonly string[] }[]
  /** Called when the tree is about to be cleaned: saves what later builds can use. */
  keep(): Promise<void>
}

/** One way to make an operating system. `Options` is a recipe's `base`. */
export interface TreeBuilder<Options> {
  readonly name: string
  readonly summary: string
  /** Shape of the options. */
  readonly options: TSchema
  /** Programs that must be on this host. */
  readonly programs: readonly string[]
  /** Fails with BUILD_FAILED, DOWNLOAD_FAILED, TOOL_MISSING, NO_SPACE, INTERRUPTED. */
  build(options: Options, job: OsJob, context: Context): Promise<BuiltOs>
}
