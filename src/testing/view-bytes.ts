/** For tests of views: disks whose content tells where it is, and content put together as bytes. */
import { open } from 'node:fs/promises'
import { MiB, SECTOR } from '../base/units.ts'
import { type Content, lengthOf, type Origin, type Piece } from '../bytes/piece.ts'
import { readInto, type Source } from '../bytes/source.ts'
import type { DiskMap } from '../formats/disk-map.ts'

/**
 * A disk with that map: every sector of its data units says which one it is. Reading any other part
 * fails: nobody may read what the map says is zero.
 */
export function numberedDisk(map: DiskMap): Source {
  const disk: Source = {
    name: 'numbered disk',
    size: map.size,
    read: async (offset, length) => {
      if (offset < 0 || offset + length > map.size) throw new RangeError('behind the end')
      const first = offset - (offset % SECTOR)
      const bytes = Buffer.alloc(Math.ceil((offset + length - first) / SECTOR) * SECTOR)
      for (let at = 0; at < bytes.length; at += SECTOR) {
        if (!map.has(Math.floor((first + at) / map.unit))) throw new Error('a hole was read')
        bytes.fill(`sector ${(first + at) / SECTOR}\n`, at, at + SECTOR)
      }
      return bytes.subarray(offset - first, offset - first + length)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return disk
}

type Origins = Readonly<Partial<Record<Origin, Source>>>

/** Calls `put` with everything that is not zeros, a MiB at most at a time. */
async function place(
  pieces: Iterable<Piece>,
  origins: Origins,
  put: (bytes: Uint8Array, at: number) => Promise<void>,
): Promise<number> {
  let at = 0
  for (const piece of pieces) {
    if (piece.kind === 'bytes') await put(piece.bytes, at)
    if (piece.kind === 'copy')
      for (let done = 0; done < piece.length; done += MiB) {
        const bytes = Buffer.alloc(Math.min(MiB, piece.length - done))
        await readInto(origins[piece.of]!, bytes, piece.offset + done)
        await put(bytes, at + done)
      }
    at += lengthOf(piece)
  }
  return at
}

/** The bytes from `from` to `to`; fails if the pieces are more or fewer. */
export async function bytesOf(
  content: Content,
  origins: Origins,
  from = 0,
  to = content.length,
): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from)
  const length = await place(content.pieces(from, to), origins, async (part, at) => {
    if (at + part.length > bytes.length) throw new RangeError('more pieces than asked for')
    bytes.set(part, at)
  })
  if (length !== bytes.length) throw new RangeError(`${length} bytes, not ${bytes.length}`)
  return bytes
}

/** The content as a sparse file. */
export async function writeContent(
  path: string,
  content: Content,
  origins: Origins,
): Promise<string> {
  await using file = await open(path, 'w')
  const write = async (part: Uint8Array, at: number) =>
    void (await file.write(part, 0, part.length, at))
  await file.truncate(await place(content.pieces(0, content.length), origins, write))
  return path
}
