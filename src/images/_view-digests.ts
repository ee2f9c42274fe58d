/** Digests of views, kept with the record of their image, so that every server knows them. */
import type { Database } from '../database/database.ts'
import type { Catalog } from './catalog.ts'

interface Kept {
  readonly database: Database
  readonly catalog: Catalog
}

type Digests = readonly (readonly [etag: string, digest: string])[]

const KIND = 'view-digests'
/** Of each image: more than there are formats. Those that were learned last stay. */
const MOST = 64

/** SHA-256 of views, by ETag. */
export async function readViewDigests(id: string, { catalog }: Kept): Promise<Digests> {
  return parse(await catalog.readAttachment(id, KIND))
}

/** Adds one, unless the image is gone. */
export async function keepViewDigest(
  id: string,
  etag: string,
  digest: string,
  { database, catalog }: Kept,
): Promise<void> {
  await database.write(async (tx) => {
    if (!(await catalog.get(id, tx))) return
    const others = parse(await catalog.readAttachment(id, KIND, tx)).filter(([tag]) => tag !== etag)
    const digests = [...others, [etag, digest]].slice(-MOST)
    await catalog.writeAttachment(tx, id, KIND, Buffer.from(JSON.stringify(digests)))
  })
}

function parse(bytes: Uint8Array | undefined): Digests {
  return bytes === undefined ? [] : (JSON.parse(Buffer.from(bytes).toString()) as Digests)
}
