import type { Records } from './_records.ts'
import type { DocumentKind } from '../factory-image.ts'

/** They say what is in a body; an image that shares its parent's body has them of it. */
const OF_BODY: readonly DocumentKind[] = ['icicle', 'sbom', 'manifest']
const MAX_DEPTH = 20

/** Fails with BUILD_NOT_FOUND. */
export async function readDocument(
  records: Records,
  id: string,
  kind: DocumentKind,
): Promise<Uint8Array | undefined> {
  let row: Awaited<ReturnType<Records['find']>> = await records.demand(id)
  for (let depth = 0; row !== undefined && depth < MAX_DEPTH; depth++) {
    const found = await records.readDocument(row.id, kind)
    if (found !== undefined || !OF_BODY.includes(kind)) return found
    row = row.parent_id === null ? undefined : await records.find(row.parent_id)
  }
  return undefined
}
