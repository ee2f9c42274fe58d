/** Removes what a job made elsewhere, by the part that made it. */
import { messageOf } from '../../base/failure.ts'
import type { Json } from '../../tasks/task.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import type { Mask } from './_mask.ts'
import { maskOf, maskProvider } from './_mask-of.ts'
import { reachedProvider } from './_reached-provider.ts'
import type { Secrets } from './_secrets.ts'
import { deadline, stopInTime } from './_stop-in-time.ts'
import { Failure } from '../../base/failure.ts'
import type { BuildLog } from '../build-log.ts'
import type { ClearContext } from '../os-builder.ts'

export interface ClearWork {
  readonly row: Pick<
    ImageRow,
    'id' | 'type' | 'builder' | 'target' | 'provider' | 'definition' | 'by_owner'
  >
  readonly secrets: Secrets
  readonly things: readonly Json[]
  readonly signal: AbortSignal
  readonly log: BuildLog
  readonly why?: ClearContext['why']
}

/** What is left still, and why. */
export interface Cleared {
  readonly left: readonly Json[]
  readonly reason: string
}

const CLEAR_MS = 15 * 60_000

/** Never fails: what could not be removed is left. */
export async function clearThings(ground: Ground, work: ClearWork): Promise<Cleared> {
  const { row, secrets, things, signal, log, why } = work
  if (things.length === 0) return { left: [], reason: '' }
  const mask = maskOf(ground, row, secrets)
  using limit = deadline(
    CLEAR_MS,
    () => new Failure('PHASE_TIMEOUT', 'clearing away took too long'),
  )
  const ending = AbortSignal.any([signal, limit.signal])
  const context: ClearContext = {
    ...ground.context,
    signal: ending,
    buildLog: maskedLog(log, mask),
    imageId: row.id,
    secrets: secrets.parameters,
    ...(why && { why }),
  }
  log.event(`clearing away ${things.length} thing(s)`)
  try {
    const left = await stopInTime(clearBy(ground, work, context, mask), ending)
    if (left.length > 0) log.event(`${left.length} thing(s) could not be cleared away`)
    return { left, reason: 'it could not be removed; see the log' }
  } catch (error) {
    const reason = mask.apply(messageOf(error))
    log.event(`clearing away failed: ${reason}`)
    return { left: things, reason }
  }
}

/** What a part tells of clearing away has no more secrets in it than what it tells of its work. */
function maskedLog(log: BuildLog, mask: Mask): BuildLog {
  return {
    event: (text) => log.event(mask.apply(text)),
    console: (chunk) => log.console(chunk),
    output: (text) => log.output(mask.apply(text)),
  }
}

async function clearBy(
  ground: Ground,
  { row, secrets, things }: ClearWork,
  context: ClearContext,
  mask: Mask,
): Promise<readonly Json[]> {
  const { list } = ground
  if (row.type === 'base')
    return (await list.builder(row.builder ?? '').clear?.(things, context)) ?? []
  const target = list.target(row.target ?? '')
  if (row.type === 'target' || target.clear === undefined) return []
  const provider = await reachedProvider(ground, row, secrets)
  maskProvider(mask, target, provider)
  return await target.clear(things, provider, context)
}
