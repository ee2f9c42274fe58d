import { MiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'

const CHUNK = 1 * MiB

/** All of a source, from its start; the next chunk is under way while one is worked on. */
export async function* readObject(source: Source): AsyncGenerator<Uint8Array> {
  const readAt = async (at: number) => await source.read(at, Math.min(CHUNK, source.size - at))
  let next = source.size > 0 ? readAt(0) : undefined
  for (let at = 0; next !== undefined;) {
    const chunk = await next
    at += chunk.length
    next = at < source.size ? readAt(at) : undefined
    next?.catch(() => {}) // told when it is its turn
    yield chunk
  }
}
