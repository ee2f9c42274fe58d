/** SHA-256 of a body, which neither catalog nor stores ask for and everybody else does: kept beside its map. */
import type { DigestRing } from '../../bytes/digest-threads.ts'
import { blocksOf } from '../../bytes/blocks.ts'
import { ringSink } from '../../bytes/ring-sink.ts'
import type { Source } from '../../bytes/source.ts'
import { sendPieces } from '../../bytes/send-pieces.ts'
import type { DiskMap } from '../../formats/disk-map.ts'
import { piecesOfRaw } from './_raw-pieces.ts'
import type { BodyParts } from './body.ts'

const KIND = 'sha256'

/** Hexadecimal; undefined if nobody has told yet. */
export async function readKeptDigest(
  { catalog }: Pick<BodyParts, 'catalog'>,
  imageId: string,
): Promise<string | undefined> {
  const kept = await catalog.readAttachment(imageId, KIND)
  const text = kept && Buffer.from(kept).toString('latin1')
  return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? text : undefined
}

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

/** Reads a whole disk for it; of zeros nothing is read. Fails with INTERRUPTED, and as the source does. */
export async function digestDisk(
  source: Source,
  map: DiskMap,
  { digests }: Pick<BodyParts, 'digests'>,
  signal: AbortSignal,
): Promise<string> {
  await using ring = digests.ring(['sha256'])
  await sendPieces(piecesOfRaw(map), { disk: source }, ringSink(ring), { signal })
  const [digest = ''] = await ring.end()
  return digest
}
