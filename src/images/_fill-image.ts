import type { Tx } from '../database/database.ts'
import type { Catalog } from './catalog.ts'
import type { Image, Location } from './image.ts'
import type { Ingested } from './ingest.ts'

/** Makes an image active with data that stands in a store. Fails with IMAGE_NOT_FOUND, IMAGE_STATE. */
export async function fillImage(
  catalog: Catalog,
  tx: Tx,
  id: string,
  ingested: Ingested,
  location: Location,
): Promise<Image> {
  const { size, virtualSize, checksum, hashAlgorithm, hashValue, map } = ingested
  const { diskFormat, containerFormat } = ingested
  await catalog.addLocation(tx, id, location)
  if (map) await catalog.writeAttachment(tx, id, 'map', map.toBytes())
  const change = { size, virtualSize, checksum, hashAlgorithm, hashValue }
  return await catalog.update(
    tx,
    id,
    { ...change, diskFormat, containerFormat, status: 'active' },
    { from: ['saving'] },
  )
}
