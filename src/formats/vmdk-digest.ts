import { createHash } from 'node:crypto'
import { sendPieces } from '../bytes/send-pieces.ts'
import { digestSink } from '../bytes/sinks.ts'
import type { Source } from '../bytes/source.ts'
import type { ViewInput } from './view.ts'
import { makeView } from './views.ts'

/**
 * `ViewInput.vmdkDigest` of an image: its `vmdk-stream` view, read once; `store` is the payload of its
 * clusters. Worth keeping: it changes with
 * the ETag of that view. Fails with VIEW_IMPOSSIBLE, INTERRUPTED, and as reading fails.
 */
export async function readVmdkDigest(
  input: ViewInput,
  store: Source,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256')
  const view = makeView('vmdk-stream', input)
  await sendPieces(view.pieces(0, view.length), { store }, digestSink(hash), { signal })
  return hash.digest('hex')
}
