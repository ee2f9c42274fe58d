/** SHA-256 of a body, which neither catalog nor stores ask for and everybody else does: kept beside its map. */
import type { DigestRing } from '../../bytes/digest-threads.ts'
import { blocksOf } from '../../bytes/blocks.ts'
import type { Piece } from '../../bytes/piece.ts'
import { ringSink } from '../../bytes/ring-sink.ts'
import { sendPieces } from '../../bytes/send-pieces.ts'
import type { DiskMap } from '../../formats/disk-map.ts'
import type { BodyParts } from './body.ts'
import type { OpenBody } from './open-body.ts'

const KIND = 'sha256'

/** Keeps it for as long as there is the image. */
export async function keepDigest(
  { database, catalog }: Pick<BodyParts, 'database' | 'catalog'>,
  imageId: string,
  digest: string,
): Promise<void> {
  await database.write(async (tx) => {
    if (await catalog.get(imageId, tx))
      await catalog.writeAttachment(tx, imageId, KIND, Buffer.from(digest, 'latin1'))
  })
}

/** The same bytes; the ring digests them. Chunks stay as they are until the next is asked for. */
export async function* digestedStream(
  chunks: AsyncIterable<Uint8Array>,
  ring: DigestRing,
): AsyncGenerator<Uint8Array> {
  for await (const block of blocksOf(chunks, ring)) {
    ring.put(block.length)
    const { promise, resolve } = Promise.withResolvers<void>()
    ring.keep(promise)
    try {
      yield block
    } finally {
      resolve()
    }
  }
}

/** As it is kept; else the disk is read for it, once. Fails with INTERRUPTED, and as the source does. */
export async function readDigest(
  parts: Pick<BodyParts, 'database' | 'catalog' | 'digests'>,
  { image, source, map }: OpenBody,
  signal: AbortSignal,
): Promise<string> {
  const kept = await readKeptDigest(parts, image.id)
  if (kept !== undefined) return kept
  await using ring = parts.digests.ring(['sha256'])
  await sendPieces(piecesOfRaw(map), { disk: source }, ringSink(ring), { signal })
  const [digest = ''] = await ring.end()
  await keepDigest(parts, image.id, digest)
  return digest
}

async function readKeptDigest(
  { catalog }: Pick<BodyParts, 'catalog'>,
  imageId: string,
): Promise<string | undefined> {
  const kept = await catalog.readAttachment(imageId, KIND)
  const text = kept && Buffer.from(kept).toString('latin1')
  return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? text : undefined
}

/** A raw disk: its data, and zeros between. */
function* piecesOfRaw(map: DiskMap): Generator<Piece> {
  let at = 0
  for (const { offset, length } of map.extents()) {
    if (offset > at) yield { kind: 'zeros', length: offset - at }
    yield { kind: 'copy', of: 'disk', offset, length }
    at = offset + length
  }
  if (at < map.size) yield { kind: 'zeros', length: map.size - at }
}
