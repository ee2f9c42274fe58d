import type { Tx } from '../database/database.ts'
import type { Catalog } from './catalog.ts'
import type { Image, Location } from './image.ts'
import type { Ingested } from './ingest.ts'

/** Makes an image, as it is in the transaction, active with data that stands in a store. Fails with IMAGE_NOT_FOUND, IMAGE_STATE. */
export async function fillImage(
  catalog: Catalog,
  tx: Tx,
  { id, locations }: Image,
  ingested: Ingested,
  location: Location,
): Promise<Image> {
  const { size, virtualSize, checksum, hashAlgorithm, hashValue } = ingested
  const { diskFormat, containerFormat, map, alsoHashed } = ingested
  if (map) await catalog.writeAttachment(tx, id, 'map', map.toBytes())
  if (alsoHashed) {
    const { algorithm, value } = alsoHashed
    await catalog.writeAttachment(tx, id, algorithm, Buffer.from(value, 'latin1'))
  }
  const known = { size, virtualSize, checksum, hashAlgorithm, hashValue }
  const change = { ...known, diskFormat, containerFormat, locations: [...locations, location] }
  return await catalog.update(tx, id, { ...change, status: 'active' }, { from: ['saving'] })
}
