/** Image data on its way out: the stored bytes, and every other format. Made by `openImageContent` (`open-image-content.ts`). */
import type { Origin } from '../bytes/piece.ts'
import type { Source } from '../bytes/source.ts'
import type { View } from '../formats/view.ts'
import type { Image } from './image.ts'

/** Content to be served. It has to stay open until it is sent. */
export interface OpenContent extends AsyncDisposable {
  readonly view: View
  readonly origins: Readonly<Partial<Record<Origin, Source>>>
  readonly mediaType: string
  readonly fileName: string
}

/** One format that an image can be had in: a row of `GET /v2/images/{id}/formats`. */
export interface OfferedFormat {
  readonly name: string
  readonly mediaType: string
  /** Bytes; null for those whose length is known only once they were made. */
  readonly size: number | null
  readonly digest: string | null
  readonly stored: boolean
  readonly summary: string
}

export interface ImageContent {
  /**
   * The stored bytes. Locations are tried in the order of `prefer`, then by weight.
   * Fails with OBJECT_NOT_FOUND, STORE_AWAY, STORE_DENIED (all locations failed).
   */
  openStored(image: Image, prefer?: readonly string[]): Promise<OpenContent>
  /**
   * The image in another format, by its name there (`views.ts`).
   * Fails with FORMAT_UNKNOWN, VIEW_IMPOSSIBLE, and as `openStored` does.
   */
  openView(image: Image, format: string, prefer?: readonly string[]): Promise<OpenContent>
  /** Every format that `openView` would give. Empty while there is no data, or it is no disk. */
  formats(image: Image): Promise<readonly OfferedFormat[]>
}
