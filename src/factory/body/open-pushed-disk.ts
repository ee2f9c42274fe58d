import { lengthOf } from '../../bytes/piece.ts'
import type { DiskMap } from '../../formats/disk-map.ts'
import type { View } from '../../formats/view.ts'
import { viewFormatOf } from '../../formats/views.ts'
import type { FormattedDisk, PushedDisk } from '../cloud-target.ts'
import { readDigest } from './_body-digest.ts'
import { openMadeView } from './_made-view.ts'
import { sourceOf } from './_view-source.ts'
import type { BodyParts } from './body.ts'
import { openBody } from './open-body.ts'

export interface PushedDiskOptions {
  /** What its files are called, without the ending: `debian-12`. */
  readonly name: string
  readonly signal: AbortSignal
}

/**
 * The disk of an image of the catalog, as cloud targets take it. Formats that it is opened in stay open until it is
 * closed. Fails as `openBody` does; opening a format fails with FORMAT_UNKNOWN, VIEW_IMPOSSIBLE (the disk does not fit),
 * NO_SPACE, INTERRUPTED.
 */
export async function openPushedDisk(
  parts: BodyParts,
  imageId: string,
  { name, signal }: PushedDiskOptions,
): Promise<PushedDisk & AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const body = opened.use(await openBody(parts, imageId, signal))
  const { image, source, map } = body
  let digest: Promise<string> | undefined
  const closing = opened.move()
  return {
    size: map.size,
    source,
    map,
    digest: async () => await (digest ??= readDigest(parts, body, signal)),
    open: async (formatName) => {
      const { name: format, endings, needs } = viewFormatOf(formatName)
      const made = closing.use(await openMadeView(parts.content, image, format, signal))
      const fileName = `${name}.${endings[0] ?? format}`
      const extents = format === 'raw' ? dataOf(map) : needs === 'map' ? extentsOf(made.view) : null
      const content: FormattedDisk = {
        ...sourceOf(made, fileName),
        mediaType: made.mediaType,
        fileName,
        extents,
      }
      return content
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function dataOf(map: DiskMap): { start: number; end: number }[] {
  return [...map.extents()].map(({ offset, length }) => ({ start: offset, end: offset + length }))
}

/** Everything in a view that is not known to be zeros. */
function extentsOf(view: View): { start: number; end: number }[] {
  const extents: { start: number; end: number }[] = []
  let at = 0
  for (const piece of view.pieces(0, view.length)) {
    const start = at
    at += lengthOf(piece)
    const last = extents.at(-1)
    if (piece.kind === 'zeros') continue
    if (last?.end === start) last.end = at
    else extents.push({ start, end: at })
  }
  return extents
}
