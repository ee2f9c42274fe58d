import type { MadeView } from '../../formats/disk-views.ts'
import type { Image } from '../../images/image.ts'
import type { ImageContent } from '../../images/image-content.ts'

export type OpenView = MadeView & AsyncDisposable & { readonly mediaType: string }

/** An image in a format, made if it must be. Fails as `ImageContent.openView` does, and with INTERRUPTED. */
export async function openMadeView(
  content: Pick<ImageContent, 'openView'>,
  image: Image,
  format: string,
  signal: AbortSignal,
): Promise<OpenView> {
  await using opened = new AsyncDisposableStack()
  const served = opened.use(await content.openView(image, format))
  const { mediaType } = served
  const made = served.view === undefined ? await served.whole(signal) : served
  const { view, origins } = made
  const closing = opened.move()
  return { view, origins, mediaType, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
