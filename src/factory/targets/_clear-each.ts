import { messageOf } from '../../base/failure.ts'
import type { Json } from '../../tasks/task.ts'
import type { ClearContext } from '../os-builder.ts'

/**
 * Removes what a push left, the newest first, for what was made last stands on what was made before. One that cannot be removed
 * is told and left, and keeps nothing else from being removed. Gives what is left.
 */
export async function clearEach(
  things: readonly Json[],
  { signal, buildLog }: Pick<ClearContext, 'signal' | 'buildLog'>,
  remove: (thing: Json) => Promise<void>,
): Promise<readonly Json[]> {
  const left = new Set<Json>()
  for (const thing of things.toReversed())
    try {
      await remove(thing)
    } catch (error) {
      if (signal.aborted) throw error
      buildLog.event(`not removed: ${messageOf(error)}`)
      left.add(thing)
    }
  return things.filter((thing) => left.has(thing))
}

/** The fields of a thing as a push wrote it down; none of what is no thing. */
export function fieldsOf(thing: Json): Readonly<Record<string, unknown>> {
  return typeof thing === 'object' && thing !== null && !Array.isArray(thing)
    ? (thing as Readonly<Record<string, unknown>>)
    : {}
}
