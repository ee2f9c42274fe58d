import type { Tx } from '../database/database.ts'
import type { Catalog } from '../images/catalog.ts'
import type { Signer } from '../images/signature.ts'

/** The kind of attachment that holds who must have signed what an import brings. Gone with its end. */
const SIGNER = 'import-signer'

/** Found while somebody asked for it, who could show a token; the import itself asks nobody. */
export async function keepSigner(
  catalog: Catalog,
  tx: Tx,
  imageId: string,
  signer: Signer,
): Promise<void> {
  await catalog.writeAttachment(tx, imageId, SIGNER, Buffer.from(JSON.stringify(signer)))
}

export async function readSigner(catalog: Catalog, imageId: string): Promise<Signer | undefined> {
  const bytes = await catalog.readAttachment(imageId, SIGNER)
  return bytes && (JSON.parse(Buffer.from(bytes).toString()) as Signer)
}

export async function forgetSigner(catalog: Catalog, tx: Tx, imageId: string): Promise<void> {
  await catalog.removeAttachment(tx, imageId, SIGNER)
}
