/** For tests of cloud targets: a raw file as the disk that is pushed, in every format, with nothing kept between tests. */
import { createHash } from 'node:crypto'
import { makeContext } from '../base/context.ts'
import { lengthOf, type Origin, type Piece } from '../bytes/piece.ts'
import { sendPieces } from '../bytes/send-pieces.ts'
import { checkRange, type Source } from '../bytes/source.ts'
import type { FormattedDisk, PushedDisk } from '../factory/cloud-target.ts'
import { DiskViews } from '../formats/disk-views.ts'
import { adoptDisk } from '../formats/golden.ts'
import { openImage } from '../formats/open-image.ts'
import { readContentDigest } from '../formats/read-content-digest.ts'
import type { View } from '../formats/view.ts'
import { viewFormatOf } from '../formats/views.ts'
import { MiB } from '../base/units.ts'

/** Opens the raw disk at `path`; what is compressed is kept in `directory`, which exists. */
export async function openTestDisk(
  path: string,
  directory: string,
): Promise<PushedDisk & AsyncDisposable> {
  const context = makeContext()
  const image = await openImage(path, { format: 'raw' })
  const { disk, map, identity } = await adoptDisk(image.disk, image.file, context)
  const contentDigest = await readContentDigest(disk, map, context)
  const views = new DiskViews({ disk, map, identity, contentDigest, directory }, context)
  return {
    size: map.size,
    source: disk,
    map,
    digest: async () => await digestOf(disk),
    open: async (name) => {
      const format = viewFormatOf(name)
      const opened = await views.open(format)
      const { view, origins } = opened.view ? opened : await opened.whole(context.signal)
      return {
        ...viewSource(view, origins),
        mediaType: format.mediaType,
        fileName: `disk.${format.endings[0]}`,
        extents: format.needs === 'map' ? extentsOf(view.pieces(0, view.length)) : null,
      }
    },
    [Symbol.asyncDispose]: async () => {
      await views[Symbol.asyncDispose]()
      await image[Symbol.asyncDispose]()
    },
  }
}

/** All bytes of a source, for small ones. */
export async function bytesOfSource(source: Source): Promise<Buffer> {
  return Buffer.from(await source.read(0, source.size))
}

function viewSource(view: View, origins: Readonly<Partial<Record<Origin, Source>>>): Source {
  const source: Source = {
    name: view.format,
    size: view.length,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      const bytes = Buffer.alloc(length)
      let at = 0
      const write = (part: Uint8Array) => {
        bytes.set(part, at)
        at += part.length
      }
      await sendPieces(view.pieces(offset, offset + length), origins, { write })
      return bytes
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}

function extentsOf(pieces: Iterable<Piece>): FormattedDisk['extents'] {
  const extents: { start: number; end: number }[] = []
  let at = 0
  for (const piece of pieces) {
    const end = at + lengthOf(piece)
    const last = extents.at(-1)
    if (piece.kind !== 'zeros') {
      if (last?.end === at) last.end = end
      else extents.push({ start: at, end })
    }
    at = end
  }
  return extents
}

async function digestOf(source: Source): Promise<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < source.size; at += MiB)
    hash.update(await source.read(at, Math.min(MiB, source.size - at)))
  return hash.digest('hex')
}
