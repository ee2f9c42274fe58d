/** Things that lie about elsewhere and stand in no ledger, as builders find them: a process died, or a database was lost. */
import { messageOf } from '../../base/failure.ts'
import type { Json } from '../../tasks/task.ts'
import type { Ground } from './_ground.ts'
import { deadline, stopInTime } from './_stop-in-time.ts'
import { isFinal } from '../factory-image.ts'
import type { Leftover } from '../factory.ts'
import type { ClearContext, OsBuilder } from '../os-builder.ts'

interface Found extends Leftover {
  readonly thing: Json
  readonly builder: OsBuilder
  /** There is no record of its image here: it may be the work of another Ingot, and under way. */
  readonly isForeign: boolean
}

/** A cloud that is away must not keep anybody waiting for the list. */
const LOOK_MS = 30_000

/**
 * What builders find in a cloud, or where they build if nobody says where; without what builds here are at work on, and without images whose leftovers are `known` already.
 * Of a cloud that is named it is no secret that it cannot be looked at.
 */
async function findUnknown(
  ground: Ground,
  known: readonly Leftover[],
  cloud: string | undefined,
): Promise<Found[]> {
  const { list, records, context } = ground
  const found: Found[] = []
  for (const builder of list.builders) {
    if (builder.discover === undefined) continue
    using limit = deadline(LOOK_MS, () => new Error(`not done after ${LOOK_MS / 1000} s`))
    const signal = AbortSignal.any([context.signal, limit.signal])
    try {
      const things = await stopInTime(builder.discover({ ...context, signal, cloud }), signal)
      for (const { imageId, thing } of things) {
        if (known.some((one) => one.imageId === imageId)) continue
        const row = imageId === null ? undefined : await records.find(imageId)
        if (row !== undefined && !isFinal(row.status)) continue
        const reason = row
          ? 'its build has ended, and did not know of it'
          : 'no build is known here that it belongs to; it may be another Ingot’s'
        const part = `builder/${builder.name}`
        const isForeign = row === undefined
        found.push({ imageId: imageId ?? '', part, thing, reason, builder, isForeign })
      }
    } catch (error) {
      if (cloud !== undefined) throw error
      // Most often there is no such cloud here at all.
      context.log.info('factory.not-discovered', { part: builder.name, error: messageOf(error) })
    }
  }
  return found
}

export async function listDiscovered(
  ground: Ground,
  known: readonly Leftover[],
  cloud?: string,
): Promise<Leftover[]> {
  const found = await findUnknown(ground, known, cloud)
  return found.map(({ imageId, part, thing, reason }) => ({ imageId, part, thing, reason }))
}

/** Removes what is found; of images that are not known here only when one is named. */
export async function reapDiscovered(
  ground: Ground,
  imageId?: string,
  cloud?: string,
): Promise<void> {
  const { context } = ground
  const found = (await findUnknown(ground, [], cloud)).filter((one) =>
    imageId === undefined ? !one.isForeign : one.imageId === imageId,
  )
  for (const { builder, imageId: owner } of firstOfEach(found)) {
    const event = (text: string) => context.log.info('factory.reaped', { imageId: owner, text })
    const buildLog = { event, console: () => {}, output: event }
    const clearing: ClearContext = { ...context, buildLog, imageId: owner, why: 'reap' }
    const its = found.filter((one) => one.builder === builder && one.imageId === owner)
    const things = its.map(({ thing }) => thing)
    await builder.clear?.(things, clearing)
  }
}

/** One for each image and builder. */
function firstOfEach(found: readonly Found[]): Found[] {
  return found.filter((one, at) => {
    const isSame = (other: Found) => other.builder === one.builder && other.imageId === one.imageId
    return found.findIndex(isSame) === at
  })
}
