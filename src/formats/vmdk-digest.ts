import { createHash } from 'node:crypto'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import { ringSink } from '../bytes/ring-sink.ts'
import { sendPieces } from '../bytes/send-pieces.ts'
import { digestSink } from '../bytes/sinks.ts'
import type { Source } from '../bytes/source.ts'
import type { ViewInput } from './view.ts'
import { makeView } from './views.ts'

/**
 * `ViewInput.vmdkDigest` of an image: its `vmdk-stream` view, read once; `store` is the payload of its
 * clusters. Worth keeping: it changes with the ETag of that view. With threads it is computed there.
 * Fails with VIEW_IMPOSSIBLE, INTERRUPTED, and as reading fails.
 */
export async function readVmdkDigest(
  input: ViewInput,
  store: Source,
  signal: AbortSignal,
  threads?: DigestThreads,
): Promise<string> {
  const view = makeView('vmdk-stream', input)
  const pieces = view.pieces(0, view.length)
  if (threads === undefined) {
    const hash = createHash('sha256')
    await sendPieces(pieces, { store }, digestSink(hash), { signal })
    return hash.digest('hex')
  }
  await using ring = threads.ring(['sha256'])
  await sendPieces(pieces, { store }, ringSink(ring), { signal })
  const [digest = ''] = await ring.end()
  return digest
}
