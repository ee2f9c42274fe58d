import type { Holdings } from '../factory/os-builder.ts'
import type { Json } from '../tasks/task.ts'

/** Holdings that are kept in lists: what is held now, and every thing that ever was, as it was last. */
export function writtenHoldings(
  held: Json[],
  everHeld: Json[] = [],
  onNote?: (thing: Json) => void,
): Holdings {
  return {
    get all() {
      return [...held]
    },
    find: () => undefined,
    add: async (thing) => {
      onNote?.(thing)
      let now = thing
      const place = everHeld.push(now) - 1
      held.push(now)
      return {
        update: async (next) => {
          held[held.indexOf(now)] = next
          everHeld[place] = now = next
        },
        drop: async () => {
          const at = held.indexOf(now)
          if (at >= 0) held.splice(at, 1)
        },
      }
    },
  }
}
