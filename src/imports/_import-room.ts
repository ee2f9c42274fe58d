/** How much more an import may store: by the quota of its project, and by the places of its image. */
import type { Limits } from '../access/quotas.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Tx } from '../database/database.ts'
import type { Image } from '../images/image.ts'
import type { ImportParts } from './_ground.ts'

/** Bytes that the image's project may still store; undefined: any number. */
export async function bytesLeft(
  { quotas, catalog }: ImportParts,
  { image_size_total: limit }: Limits,
  { owner }: Image,
): Promise<number | undefined> {
  if (!quotas.active || limit === undefined || limit < 0) return undefined
  const { size } = await catalog.usage(owner)
  return Math.max(0, limit * MiB - size)
}

/** Room for so many more copies of `size` bytes each. Fails with QUOTA_EXCEEDED, LIMIT_EXCEEDED. */
export async function demandRoom(
  { quotas, catalog, config }: ImportParts,
  tx: Tx,
  limits: Limits,
  image: Image,
  { copies, size }: { readonly copies: number; readonly size: number },
): Promise<void> {
  const { max_locations: most } = config.image
  if (most >= 0 && image.locations.length + copies > most)
    throw new Failure('LIMIT_EXCEEDED', `image ${image.id} can stand at ${most} places`, {
      details: { maximum: most },
    })
  if (!quotas.active || copies === 0) return
  const { size: used } = await catalog.usage(image.owner, tx)
  quotas.check(limits, 'image_size_total', used / MiB, (copies * size) / MiB, tx)
}
