/**
 * Records that were read lately. What a record says is named by its id and revision, so whoever has these
 * two needs neither to read nor to parse the rest again; and gets the same object, which may be used as a key.
 */
import { Recent } from '../bytes/recent.ts'
import { fromRow, type ImageRow } from './_catalog-tables.ts'
import type { Image } from './image.ts'

const KEPT = 16 * 2 ** 20
/** What a record takes beside its texts of any length. */
const PLAIN_SIZE = 1024

export class KnownImages {
  readonly #images = new Recent<string, Image>(KEPT)

  /** The record, if it is known as it is in this revision. */
  get(id: string, revision: number): Image | undefined {
    const image = this.#images.get(id)
    return image?.revision === revision ? image : undefined
  }

  /** The record of a committed row. */
  imageOf(row: ImageRow): Image {
    const known = this.get(row.id, row.revision)
    if (known !== undefined) return known
    const image = fromRow(row)
    const texts = row.tags.length + row.properties.length + row.locations.length
    this.#images.set(row.id, image, PLAIN_SIZE + 2 * texts)
    return image
  }
}
