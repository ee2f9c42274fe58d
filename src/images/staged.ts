/**
 * Staged data: taken in by `PUT …/stage`, and standing in a store as the very object that it will be when it is
 * imported. What is known of it is kept beside the record until then, so that an import only moves the record.
 */
import type { Tx } from '../database/database.ts'
import type { Catalog } from './catalog.ts'
import type { Ingested } from './ingest.ts'

/** The attachment. */
const KIND = 'staged'

export interface Staged {
  readonly object: { readonly store: string; readonly key: string }
  /** Its map, if there is one, is the attachment `map` already. */
  readonly ingested: Ingested
}

export interface StagedData {
  find(imageId: string, tx?: Tx): Promise<Staged | undefined>
  keep(tx: Tx, imageId: string, staged: Staged): Promise<void>
  /** Takes it from the record; the object stays. */
  forget(tx: Tx, imageId: string): Promise<void>
}

/** What is staged, in the catalog. */
export function openStaged(catalog: Catalog): StagedData {
  return {
    find: async (imageId, tx) => {
      const bytes = await catalog.readAttachment(imageId, KIND, tx)
      return bytes && (JSON.parse(Buffer.from(bytes).toString()) as Staged)
    },
    keep: async (tx, imageId, { object, ingested }) => {
      const { map: _, ...kept } = ingested
      const text = JSON.stringify({ object, ingested: kept })
      await catalog.writeAttachment(tx, imageId, KIND, Buffer.from(text))
    },
    forget: async (tx, imageId) => await catalog.removeAttachment(tx, imageId, KIND),
  }
}
