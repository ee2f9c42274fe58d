import { checkRange, readInto, type Source } from '../bytes/source.ts'
import type { Guard } from './_guard.ts'
import type { StoreCounters } from './store.ts'

/** Where the object stands. */
interface ObjectPlace {
  readonly key: string
  readonly store: string
  readonly guard: Guard
  readonly counters: StoreCounters
}

/** An object behind the gate: its reads are checked and counted, and their failures name the store. */
export function gateSource(below: Source, { key, store, guard, counters }: ObjectPlace): Source {
  const name = `${key} in store ${store}`
  const what = `reading ${key}`
  const source: Source = {
    name,
    size: below.size,
    file: below.file,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      const bytes = await guard(what, () => below.read(offset, length))
      counters.bytesRead += length
      return bytes
    },
    readInto: async (target, offset) => {
      checkRange(source, offset, target.length)
      await guard(what, () => readInto(below, target, offset))
      counters.bytesRead += target.length
    },
    [Symbol.asyncDispose]: () => below[Symbol.asyncDispose](),
  }
  return source
}
