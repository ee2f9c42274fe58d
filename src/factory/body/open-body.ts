import { Failure } from '../../base/failure.ts'
import type { Source } from '../../bytes/source.ts'
import { type DiskMap, parseDiskMap } from '../../formats/disk-map.ts'
import { adoptDisk } from '../../formats/golden.ts'
import { openImage } from '../../formats/open-image.ts'
import type { Image } from '../../images/image.ts'
import { openMadeView } from './_made-view.ts'
import { sourceOf } from './_view-source.ts'
import type { BodyParts } from './body.ts'

/** The disk of an image of the catalog, to be read. */
export interface OpenBody extends AsyncDisposable {
  readonly image: Image
  /** The raw disk, and where in it there is data. */
  readonly source: Source
  readonly map: DiskMap
}

/**
 * Opens the disk of an image of the catalog, in whatever format it is stored.
 * Fails with IMAGE_NOT_FOUND, OBJECT_NOT_FOUND (it has no data), VIEW_IMPOSSIBLE (it is no disk), STORE_AWAY, STORE_DENIED,
 * IMAGE_UNSAFE, INTERRUPTED.
 */
export async function openBody(
  parts: Pick<BodyParts, 'catalog' | 'content' | 'context'>,
  imageId: string,
  signal: AbortSignal,
): Promise<OpenBody> {
  const { catalog, content } = parts
  const image = await catalog.get(imageId)
  if (image === undefined || image.status === 'pending_delete')
    throw new Failure('IMAGE_NOT_FOUND', `no image ${imageId}`, { details: { id: imageId } })
  await using opened = new AsyncDisposableStack()
  const made = opened.use(await openMadeView(content, image, 'raw', signal))
  const source = sourceOf(made)
  const map = await readMap(parts, image, source, signal)
  const closing = opened.move()
  return { image, source, map, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

/** The map that was kept when the data came or was first asked for in another format; else the disk is looked at. */
async function readMap(
  { catalog, context }: Pick<BodyParts, 'catalog' | 'context'>,
  { id }: Image,
  source: Source,
  signal: AbortSignal,
): Promise<DiskMap> {
  const bytes = await catalog.readAttachment(id, 'map')
  const kept = bytes && parseDiskMap(bytes, `map of image ${id}`)
  if (kept?.size === source.size) return kept
  const { disk } = await openImage(source, { format: 'raw' })
  return (await adoptDisk(disk, source, { ...context, signal })).map
}
