import { outcomeOf } from '../tasks/outcome.ts'
import type { Lease, Task } from '../tasks/task.ts'
import { dropStaged } from './_drop-staged.ts'
import { jobOf, objectsOf, OLD_IMPORT } from './_import-job.ts'
import { failedStores, unlocked } from './_lock.ts'
import type { ImportGround } from './_run-import.ts'
import { SECRET } from './_secret.ts'
import { forgetSigner } from './_signer.ts'

/**
 * Puts the image back as it was: queued, with nothing staged; one that was active stays so, with what was copied by
 * then if not all had to succeed. What was made is removed by a task, so that a store that is away keeps no image locked.
 */
export async function undoImport(
  ground: ImportGround,
  task: Task,
  reason: Error,
  lease: Lease,
): Promise<void> {
  const { database, catalog, offer } = ground
  const { imageId, stores } = jobOf(task)
  const removing = await database.write(async (tx) => {
    const image = await catalog.get(imageId, tx)
    if (image !== undefined) {
      const isUndone = image.status === 'importing'
      const standing = new Set(image.locations.map(({ store }) => store))
      const failed = isUndone ? stores : stores.filter((store) => !standing.has(store))
      const known = failedStores(image.properties).filter((store) => !failed.includes(store))
      const properties = unlocked(image.properties, [...known, ...failed])
      const nothing = { status: 'queued', size: null, virtualSize: null, stagedSize: 0 } as const
      await catalog.update(tx, imageId, { ...(isUndone && nothing), properties })
      if (isUndone) await catalog.removeAttachment(tx, imageId, 'map')
      await catalog.removeAttachment(tx, imageId, SECRET)
      await forgetSigner(catalog, tx, imageId)
      if (isUndone && task.type === OLD_IMPORT) await catalog.remove(tx, imageId)
    }
    const unwanted = await dropStaged(ground, tx, imageId, objectsOf(task.leftovers))
    await lease.finish(outcomeOf(reason), tx)
    return unwanted
  })
  if (removing !== undefined) await offer(removing)
}
