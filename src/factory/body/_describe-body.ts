import { type DocumentParts, documentsOf } from '../documents.ts'
import type { DocumentKind } from '../factory-image.ts'
import type { BodyFacts, Documents } from '../engine/factory-parts.ts'
import { readDigest } from './_body-digest.ts'
import { keepFacts } from './_guest-facts.ts'
import type { BodyParts } from './body.ts'
import type { OpenBody } from './open-body.ts'

export interface Description extends Omit<DocumentParts, 'id' | 'disk' | 'time'> {
  /** Documents that there are already; they stay. */
  readonly given?: Documents
}

const WANTED: readonly DocumentKind[] = ['icicle', 'sbom', 'manifest']

/** Writes down what is known of a body that was stored. Fails with INTERRUPTED. */
export async function describeBody(
  parts: BodyParts,
  body: OpenBody,
  { given = {}, ...known }: Description,
  signal: AbortSignal,
): Promise<BodyFacts> {
  const { image, map } = body
  if (known.facts) await keepFacts(parts, image.id, known.facts)
  if (isComplete(given)) return { bodyId: image.id, documents: given }
  const made = documentsOf({
    ...known,
    id: image.id,
    disk: {
      virtualSize: map.size,
      dataSize: map.dataUnits * map.unit,
      sha256: await readDigest(parts, body, signal),
      sha512: image.hashAlgorithm === 'sha512' ? image.hashValue : null,
    },
    time: parts.context.now(),
  })
  return { bodyId: image.id, documents: { ...made, ...given } }
}

/** Whether nothing is left to be found out for documents. */
export function isComplete(given: Documents): boolean {
  return WANTED.every((kind) => given[kind] !== undefined)
}
