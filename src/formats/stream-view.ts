import { isFailure } from '../base/failure.ts'
import type { Origin, Piece } from '../bytes/piece.ts'
import type { Source } from '../bytes/source.ts'
import { mergedPieces } from './_pieces.ts'
import type { GrowingStore } from './make-cluster-store.ts'
import type { OrderedContent } from './ordered-content.ts'

/** Pieces that follow those told before, and where they stand. */
export interface StreamedPieces {
  readonly pieces: Iterable<Piece>
  readonly origins: Readonly<Partial<Record<Origin, Source>>>
}

/**
 * A view as its clusters are made: each time all that there is by then, so who is slow is told more at once
 * and holds up nobody. When the store cannot be written (a full disk), the rest is compressed for this one
 * stream alone. Nothing is told before the first clusters are there, so that what fails at once can be said.
 *
 * Fails with INTERRUPTED, and with what the disk fails with.
 */
export async function* streamView(
  content: OrderedContent,
  growing: GrowingStore,
  disk: Source,
  signal: AbortSignal,
): AsyncGenerator<StreamedPieces, void> {
  using _ = growing.hold()
  const { head, parts } = content
  let told = 0
  for await (const { store, to } of clustersOf(growing, parts.count, signal)) {
    const origins = { disk, store }
    if (told === 0) yield { pieces: head.pieces(0, head.length), origins }
    yield { pieces: partsOf(content, told, to), origins }
    told = to
  }
  const tail = content.tail()
  if (told === 0) yield { pieces: head.pieces(0, head.length), origins: {} }
  yield { pieces: tail.pieces(0, tail.length), origins: {} }
}

/** Clusters as they come, each time up to the one before `to`. */
async function* clustersOf(
  growing: GrowingStore,
  count: number,
  signal: AbortSignal,
): AsyncGenerator<{ store: Source; to: number }> {
  let told = 0
  while (told < count) {
    const to = await madeOf(growing, told, signal)
    if (to === undefined) break
    yield { store: growing.payload, to }
    told = to
  }
  if (told < count) yield* growing.alone(told, signal)
}

/** Clusters that there are, more than `told`; undefined when there will be none. */
async function madeOf(
  growing: GrowingStore,
  told: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return await growing.more(told, signal)
  } catch (error) {
    if (!isFailure(error) || error.code === 'INTERRUPTED') throw error
    return undefined
  }
}

function partsOf({ partAt }: OrderedContent, from: number, to: number): Iterable<Piece> {
  return mergedPieces(piecesOf(partAt, from, to))
}

function* piecesOf(partAt: OrderedContent['partAt'], from: number, to: number): Generator<Piece> {
  for (let cluster = from; cluster < to; cluster++) yield* partAt(cluster)
}
