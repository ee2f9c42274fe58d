/**
 * Staged data: taken in by `PUT …/stage`, and standing in a store as the very object that it will be when it is
 * imported. What is known of it is kept beside the record until then, so that an import only moves the record.
 * Of content that is refused only the reason is kept, for the import to fail with. Source: Glance, which looks at
 * what was staged when it is imported.
 */
import { Failure, type FailureCode } from '../base/failure.ts'
import type { Tx } from '../database/database.ts'
import type { Catalog } from './catalog.ts'
import type { Ingested } from './ingest.ts'

/** The attachment. */
const KIND = 'staged'

/** Details of more characters than these are not kept. */
const MAX_DETAILS = 16 * 1024

/** Failures of the content itself, not of the way on which it came or of the place where it was to stand. */
const OF_CONTENT: ReadonlySet<FailureCode> = new Set([
  'FORMAT_MISMATCH',
  'IMAGE_UNSAFE',
  'IMAGE_DIRTY',
  'IMAGE_TRUNCATED',
  'IMAGE_UNREADABLE',
  'FILE_SYSTEM_ENCRYPTED',
  'SIGNATURE_INVALID',
])

export type Staged = StagedObject | StagedRefusal

export interface StagedObject {
  readonly object: { readonly store: string; readonly key: string }
  /** Its map, if there is one, is the attachment `map` already. */
  readonly ingested: Ingested
  readonly refused?: undefined
}

/** Content that no image may have. Nothing of it stands anywhere. */
export interface StagedRefusal {
  readonly refused: {
    readonly code: FailureCode
    readonly message: string
    readonly details?: Record<string, unknown>
  }
  readonly object?: undefined
}

/** Whether content was refused, whoever brings it and wherever it is to stand. */
export function isRefusal(error: unknown): error is Failure {
  return error instanceof Failure && OF_CONTENT.has(error.code)
}

/** What is kept of a refusal. */
export function toStagedRefusal({ code, message, details }: Failure): StagedRefusal {
  const isSmall = JSON.stringify(details).length <= MAX_DETAILS
  return { refused: { code, message, ...(isSmall && { details: { ...details } }) } }
}

/** The failure that was kept. */
export function refusalOf({ refused: { code, message, details } }: StagedRefusal): Failure {
  return new Failure(code, message, details && { details })
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
    keep: async (tx, imageId, staged) => {
      const text = JSON.stringify(staged.refused ? staged : withoutMap(staged))
      await catalog.writeAttachment(tx, imageId, KIND, Buffer.from(text))
    },
    forget: async (tx, imageId) => await catalog.removeAttachment(tx, imageId, KIND),
  }
}

function withoutMap({ object, ingested }: StagedObject): StagedObject {
  const { map: _, ...kept } = ingested
  return { object, ingested: kept as Ingested }
}
