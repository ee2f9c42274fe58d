import type { Context } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'
import type { Image } from '../images/image.ts'
import type { ImageContent } from '../images/image-content.ts'
import type { Store } from '../stores/store.ts'

/** Formats whose data comes with its map, or is no disk, need nothing more. */
const MAPPED_LATER: ReadonlySet<string> = new Set(['gpt', 'qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi'])

/**
 * Has learned of images whose data has just come what their views are made of, so that the first who asks for one
 * need not wait until the whole disk was looked at. One image at a time, and only where data stands in files of
 * this machine: over a network looking costs more than it may ever spare. What fails is left to who asks.
 * The promise is for those who want to know when it is done.
 */
export function prepareViews(
  {
    content,
    stores,
  }: {
    content: Pick<ImageContent, 'formats'>
    stores: { get(id: string): Pick<Store, 'driver'> }
  },
  { log }: Pick<Context, 'log'>,
): (image: Image) => Promise<void> {
  let last = Promise.resolve()
  const isNear = ({ locations: [place] }: Image) =>
    place !== undefined && stores.get(place.store).driver === 'file'
  const prepare = async (image: Image, before: Promise<void>) => {
    await before
    try {
      await content.formats(image)
    } catch (error) {
      log.debug('views.not-prepared', { imageId: image.id, error: messageOf(error) })
    }
  }
  return async (image) => {
    const { diskFormat, containerFormat } = image
    if (containerFormat !== 'bare' || !MAPPED_LATER.has(diskFormat ?? '') || !isNear(image)) return
    await (last = prepare(image, last))
  }
}
