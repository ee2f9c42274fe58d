import { lengthOf, type Piece } from '../../bytes/piece.ts'
import {
  checkRange,
  type DirectSource,
  readAnew,
  readInto,
  type Source,
} from '../../bytes/source.ts'
import type { MadeView } from '../../formats/disk-views.ts'

/**
 * A view to be read at any place. Of one that is all copied from one source it is that source, so that the kernel
 * can move its bytes. Closing it does nothing: whoever opened the view closes that.
 */
export function sourceOf({ view, origins }: MadeView, name: string = view.format): Source {
  const [only, ...others] = view.length === 0 ? [] : firstTwo(view.pieces(0, view.length))
  const origin = only?.kind === 'copy' && others.length === 0 ? origins[only.of] : undefined
  if (only?.kind === 'copy' && only.offset === 0 && origin?.size === view.length)
    return { ...borrowed(origin), name }
  const source: DirectSource = {
    name,
    size: view.length,
    read: (offset, length) => readAnew(source, offset, length),
    readInto: async (target, offset) => {
      checkRange(source, offset, target.length)
      await fill(target, view.pieces(offset, offset + target.length), origins)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}

function firstTwo(pieces: Iterable<Piece>): Piece[] {
  const found: Piece[] = []
  for (const piece of pieces) if (found.push(piece) === 2) break
  return found
}

/** A source that closing leaves open. */
function borrowed(source: Source): Source {
  return {
    name: source.name,
    size: source.size,
    file: source.file,
    read: (offset, length) => source.read(offset, length),
    readInto: (target, offset) => readInto(source, target, offset),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function fill(
  target: Uint8Array,
  pieces: Iterable<Piece>,
  origins: MadeView['origins'],
): Promise<void> {
  let at = 0
  for (const piece of pieces) {
    const part = target.subarray(at, at + lengthOf(piece))
    if (piece.kind === 'bytes') part.set(piece.bytes)
    else if (piece.kind === 'zeros') part.fill(0)
    else {
      const origin = origins[piece.of]
      if (origin === undefined)
        throw new TypeError(`there is no source for pieces of the ${piece.of}`)
      await readInto(origin, part, piece.offset)
    }
    at += part.length
  }
}
