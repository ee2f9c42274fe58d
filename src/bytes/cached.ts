import { KiB } from '../base/units.ts'
import { Recent } from './recent.ts'
import { checkRange, type Source } from './source.ts'

/**
 * The same source with the pages read last kept in memory, at most `pages` of `pageSize` bytes: for
 * readers that come back to small things. Reads of more than a page go straight through.
 */
export function cached(
  below: Source,
  { pageSize = 16 * KiB, pages = 256 }: { pageSize?: number; pages?: number } = {},
): Source {
  const kept = new Recent<number, Uint8Array>(pages * pageSize)

  const pageAt = async (start: number): Promise<Uint8Array> => {
    const known = kept.get(start)
    if (known !== undefined) return known
    const page = await below.read(start, Math.min(pageSize, below.size - start))
    kept.set(start, page, pageSize)
    return page
  }

  const source: Source = {
    name: below.name,
    size: below.size,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      if (length > pageSize) return await below.read(offset, length)
      if (length === 0) return new Uint8Array()
      const inside = offset % pageSize
      const first = await pageAt(offset - inside)
      if (inside + length <= pageSize) return first.subarray(inside, inside + length)
      const second = await pageAt(offset - inside + pageSize)
      return Buffer.concat([first.subarray(inside), second.subarray(0, inside + length - pageSize)])
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}
