/** Image data on its way out: the stored bytes, and every other format. Made by `openImageContent` (`open-image-content.ts`). */
import type { MadeView, UnmadeView } from '../formats/disk-views.ts'
import type { ViewListener } from '../formats/view-listener.ts'
import type { Image } from './image.ts'

/** Content to be served. It has to stay open until it is sent. */
interface Opened extends AsyncDisposable {
  readonly mediaType: string
  readonly fileName: string
}

/** Content of which all is there. */
export type StoredContent = Opened & MadeView

/** Content that may have to be made first. */
export type ViewedContent = Opened &
  (MadeView | UnmadeView) & {
    /** For whoever is going to send all of it; see `DiskViews`. */
    readonly listen?: (etag: string) => ViewListener | undefined
  }

/** One format that an image can be had in: a row of `GET /v2/images/{id}/formats`. */
export interface OfferedFormat {
  readonly name: string
  readonly mediaType: string
  /** Bytes; null for those whose length is known only once they were made. */
  readonly size: number | null
  /** Hexadecimal SHA-256, once somebody was sent all of it; of the stored bytes what the record tells. */
  readonly digest: string | null
  readonly stored: boolean
  readonly summary: string
}

export interface ImageContent {
  /**
   * The stored bytes. Locations are tried in the order of `prefer`, then by weight.
   * Fails with OBJECT_NOT_FOUND, STORE_AWAY, STORE_DENIED (all locations failed).
   */
  openStored(image: Image, prefer?: readonly string[]): Promise<StoredContent>
  /**
   * The image in another format, by its name there (`views.ts`). Nothing is made yet. What is begun goes on
   * when it is closed, and is kept for whoever comes next.
   * Fails with FORMAT_UNKNOWN, VIEW_IMPOSSIBLE, and as `openStored` does.
   */
  openView(image: Image, format: string, prefer?: readonly string[]): Promise<ViewedContent>
  /** Every format that `openView` would give. Empty while there is no data, or it is no disk. */
  formats(image: Image): Promise<readonly OfferedFormat[]>
}
