/** The files of the guest in a disk that is pushed: by reading, or in the appliance where that cannot answer. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isFailure } from '../../base/failure.ts'
import { probeAccelerator } from '../../machines/accelerator.ts'
import { openImageRemote } from '../../remotes/open-image.ts'
import { openReadImage } from '../../remotes/read-image.ts'
import { openRemote } from '../../remotes/open-remote.ts'
import type { Remote } from '../../remotes/remote.ts'
import { copyBody } from '../body/copy-body.ts'
import type { PushJob } from '../cloud-target.ts'

const NEEDS_APPLIANCE = ['FILE_SYSTEM_UNSUPPORTED', 'FILE_SYSTEM_DIRTY', 'REMOTE_CANNOT'] as const

type GuestJob = Pick<PushJob, 'disk' | 'workDir' | 'cacheDir' | 'context' | 'image'>

/**
 * What `work` makes of a guest's files. It may be begun twice: what it did by reading is done anew in the appliance.
 * Fails as `openReadImage` and `openImageRemote` do.
 */
export async function withGuestFiles<T>(
  job: GuestJob,
  work: (remote: Remote) => Promise<T>,
): Promise<T> {
  const { disk, context, image } = job
  try {
    const path = `image ${image.id}`
    const driver = await openReadImage({ path, source: disk.source, format: 'raw' }, context)
    await using remote = openRemote(driver, context)
    return await work(remote)
  } catch (error) {
    if (!NEEDS_APPLIANCE.some((code) => isFailure(error, code))) throw error
    context.log.info('target.needs_appliance', { imageId: image.id, error: String(error) })
    return await inAppliance(job, work)
  }
}

async function inAppliance<T>(
  { disk, workDir, cacheDir, context, image }: GuestJob,
  work: (remote: Remote) => Promise<T>,
): Promise<T> {
  const path = join(workDir, 'disk.raw')
  try {
    await copyBody(disk, path, context)
    const { kind: accelerator } = await probeAccelerator({ cacheDir }, context)
    await using remote = await openImageRemote(
      {
        path,
        name: `image ${image.id}`,
        format: 'raw',
        via: 'appliance',
        access: 'check',
        network: false,
        accelerator,
        tempDir: workDir,
        cacheDir,
      },
      context,
    )
    return await work(remote)
  } finally {
    await rm(path, { force: true })
  }
}
