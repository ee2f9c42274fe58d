import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { isFailure } from '../../base/failure.ts'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import { packageManagerOf } from '../../guests/package-manager-of.ts'
import { probeAccelerator } from '../../machines/accelerator.ts'
import type { Facts } from '../../remotes/facts.ts'
import { openImageRemote } from '../../remotes/open-image.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import type { Remote } from '../../remotes/remote.ts'
import { copyBody } from './copy-body.ts'
import type { OpenBody } from './open-body.ts'

/** What a guest says of itself. */
export interface ReadGuest {
  readonly facts: Facts
  /** Undefined where Ingot does not know the guest's package manager. */
  readonly packages: readonly InstalledPackage[] | undefined
}

export interface ReadGuestOptions {
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  readonly rootFileSystem?: string | undefined
  /** For a copy, if the appliance is needed. It exists. */
  readonly workDir: string
  readonly cacheDir: string
}

/** How long one answer may take: nobody waits at a terminal, and a host that builds is busy. */
export const READ_LIMIT_MS = 180_000
/** What the reading of files cannot answer, and the appliance can. */
const NEEDS_APPLIANCE = ['FILE_SYSTEM_UNSUPPORTED', 'FILE_SYSTEM_DIRTY', 'REMOTE_CANNOT'] as const

/**
 * Which system a body holds, and what is installed in it. Its files are read where they stand, and nothing of it is run;
 * file systems that Ingot does not read, and databases that only a program reads, are opened in the appliance.
 * Fails with NO_OPERATING_SYSTEM, SEVERAL_OPERATING_SYSTEMS, FILE_SYSTEM_ENCRYPTED, IMAGE_UNSAFE, IMAGE_UNREADABLE, TOOL_MISSING,
 * MACHINE_FAILED, NO_SPACE, INTERRUPTED.
 */
export async function readPackagesOf(
  body: OpenBody,
  options: ReadGuestOptions,
  context: Context,
): Promise<ReadGuest> {
  try {
    return await readByReading(body, options, context)
  } catch (error) {
    if (!NEEDS_APPLIANCE.some((code) => isFailure(error, code))) throw error
    context.log.info('body.needs_appliance', { imageId: body.image.id, error: String(error) })
    return await readInAppliance(body, options, context)
  }
}

/** What is installed; undefined where Ingot does not know the guest's package manager. */
export async function packagesOf(remote: Remote): Promise<readonly InstalledPackage[] | undefined> {
  const facts = await remote.facts()
  try {
    return await packageManagerOf(facts).readInstalled(remote)
  } catch (error) {
    if (isFailure(error, 'DISTRO_UNKNOWN')) return undefined
    throw error
  }
}

async function readByReading(
  { image, source }: OpenBody,
  { rootFileSystem }: ReadGuestOptions,
  context: Context,
): Promise<ReadGuest> {
  const path = `image ${image.id}`
  const options = { path, source, format: 'raw', rootFileSystem, limitMs: READ_LIMIT_MS } as const
  const driver = await openReadImage(options, context)
  await using remote = openRemote(driver, context)
  return await readGuest(remote)
}

async function readInAppliance(
  body: OpenBody,
  { rootFileSystem, workDir, cacheDir }: ReadGuestOptions,
  context: Context,
): Promise<ReadGuest> {
  const directory = await mkdtemp(join(workDir, 'read-'))
  try {
    const path = join(directory, 'disk.raw')
    await copyBody(body, path, context)
    const { kind: accelerator } = await probeAccelerator({ cacheDir }, context)
    await using remote = await openImageRemote(
      {
        path,
        name: `image ${body.image.id}`,
        format: 'raw',
        via: 'appliance',
        access: 'check',
        ...(rootFileSystem !== undefined && { rootFileSystem }),
        network: false,
        accelerator,
        tempDir: directory,
        cacheDir,
      },
      context,
    )
    return await readGuest(remote)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function readGuest(remote: Remote): Promise<ReadGuest> {
  return { facts: await remote.facts(), packages: await packagesOf(remote) }
}
