/** SHA-256 of a body, which neither catalog nor stores ask for and everybody else does: kept beside its map. */
import { ringSink } from '../../bytes/ring-sink.ts'
import { sendPieces } from '../../bytes/send-pieces.ts'
import { piecesOfRaw } from '../../formats/raw-pieces.ts'
import type { BodyParts } from './body.ts'
import type { OpenBody } from './open-body.ts'

/** The algorithm, and the kind of the attachment. */
export const DIGEST = 'sha256' as const

/** Keeps it for as long as there is the image. */
async function keepDigest(
  { database, catalog }: Pick<BodyParts, 'database' | 'catalog'>,
  imageId: string,
  digest: string,
): Promise<void> {
  await database.write(async (tx) => {
    if (await catalog.get(imageId, tx))
      await catalog.writeAttachment(tx, imageId, DIGEST, Buffer.from(digest, 'latin1'))
  })
}

/** As it is kept; else the disk is read for it, once. Fails with INTERRUPTED, and as the source does. */
export async function readDigest(
  parts: Pick<BodyParts, 'database' | 'catalog' | 'digests'>,
  { image, source, map }: OpenBody,
  signal: AbortSignal,
): Promise<string> {
  const kept = await readKeptDigest(parts, image.id)
  if (kept !== undefined) return kept
  await using ring = parts.digests.ring([DIGEST])
  await sendPieces(piecesOfRaw(map), { disk: source }, ringSink(ring), { signal })
  const [digest = ''] = await ring.end()
  await keepDigest(parts, image.id, digest)
  return digest
}

async function readKeptDigest(
  { catalog }: Pick<BodyParts, 'catalog'>,
  imageId: string,
): Promise<string | undefined> {
  const kept = await catalog.readAttachment(imageId, DIGEST)
  const text = kept && Buffer.from(kept).toString('latin1')
  return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? text : undefined
}
