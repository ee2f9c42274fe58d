import type { Catalog } from '../images/catalog.ts'

/** The kind of attachment that holds what an import needs and nobody may see: the caller's token. Gone with its end. */
export const SECRET = 'import-secret'

export async function readSecret(catalog: Catalog, imageId: string): Promise<string | undefined> {
  const bytes = await catalog.readAttachment(imageId, SECRET)
  return bytes && Buffer.from(bytes).toString()
}
