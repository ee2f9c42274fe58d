import { Failure } from '../../base/failure.ts'
import type { Tx } from '../../database/database.ts'
import type { ImageRow } from './_factory-tables.ts'
import { addTask, announce, type Ground, offerAll } from './_ground.ts'
import { withinLimit } from './_limit-orders.ts'
import { parseGiven, providerOf } from './_providers.ts'
import { eventsAt } from './_records.ts'
import type { Secrets } from './_secrets.ts'

/** An image may be made of target images, these of others. */
const MAX_DEPTH = 20

/**
 * Begins an image that FAILED again: from the first of those it is made of that failed. With it begin those that failed
 * because of it, but for those whose secrets would have to be given again.
 */
export async function retryImage(
  ground: Ground,
  id: string,
  given: { readonly credentials?: unknown },
): Promise<ImageRow> {
  const { database, records, secrets } = ground
  const parsed = parseGiven(given)
  const begin = async (tx: Tx) => {
    const path = await pathTo(ground, tx, id)
    const rows: ImageRow[] = []
    const tasks: string[] = []
    for (const [index, row] of path.entries()) {
      const isAsked = row.id === id
      demandPart(ground, row)
      const before = path[index - 1]
      demandSecrets(ground, row, isAsked ? parsed : {})
      if (isAsked) await secrets.write(tx, row.id, parsed)
      rows.push(await beginAgain(ground, tx, row, before, tasks))
    }
    for (const row of path) await beginWaiting(ground, tx, row, rows)
    return { rows, tasks }
  }
  const { owner } = await records.demand(id)
  const { rows, tasks } = await database.writeRows((tx) =>
    withinLimit(ground, tx, owner, () => begin(tx)),
  )
  announce(ground, rows)
  await offerAll(ground, tasks)
  return await records.demand(id)
}

/** From the first that failed to the one that is asked for. Fails with BUILD_NOT_FOUND, BUILD_STATE. */
async function pathTo({ records }: Ground, tx: Tx, id: string): Promise<ImageRow[]> {
  const asked = await records.demand(id, tx)
  if (asked.status !== 'FAILED')
    throw new Failure('BUILD_STATE', `${asked.type} image ${id} is ${asked.status}, not FAILED`, {
      details: { id, status: asked.status },
    })
  const path = [asked]
  for (let at = asked; at.parent_id !== null && path.length < MAX_DEPTH;) {
    const parent = await records.find(at.parent_id, tx)
    if (parent === undefined || parent.status.startsWith('DELET'))
      throw new Failure('BUILD_STATE', `the image it is made of, ${at.parent_id}, is gone`)
    if (parent.status !== 'FAILED') break
    path.unshift(parent)
    at = parent
  }
  return path
}

async function beginAgain(
  ground: Ground,
  tx: Tx,
  row: ImageRow,
  before: ImageRow | undefined,
  tasks: string[],
): Promise<ImageRow> {
  const { records, context } = ground
  const parent =
    before ?? (row.parent_id === null ? undefined : await records.demand(row.parent_id, tx))
  const isReady = parent === undefined || (before === undefined && parent.status === 'COMPLETE')
  const change = {
    status: isReady ? ('NEW' as const) : ('PENDING' as const),
    activity: isReady ? 'waiting for its turn' : `waiting for its ${parent.type} image`,
    error: null,
    failed_by: null,
    percent: 0,
    started_at: null,
    ended_at: null,
  }
  const log = eventsAt(context.now(), 'asked to begin again')
  const changed = await records.change(tx, row.id, change, log)
  if (isReady) tasks.push(await addTask(ground, tx, changed))
  return changed
}

/** What failed because of `row` waits for it again. */
async function beginWaiting(
  ground: Ground,
  tx: Tx,
  row: ImageRow,
  rows: ImageRow[],
): Promise<void> {
  for (const child of await ground.records.failedBy(row.id, tx)) {
    if (rows.some(({ id }) => id === child.id)) continue
    if (needed(ground, child, {}) !== undefined) continue
    rows.push(await beginAgain(ground, tx, child, row, []))
    await beginWaiting(ground, tx, child, rows)
  }
}

/** Fails with PART_UNKNOWN: nobody would do the work. */
function demandPart({ list }: Ground, { type, builder, target }: ImageRow): void {
  if (type === 'base') list.builder(builder ?? '')
  else list.target(target ?? '')
}

/** Secrets are forgotten when work has ended. Fails with BUILD_STATE, REQUEST_INVALID. */
function demandSecrets(ground: Ground, row: ImageRow, given: Secrets): void {
  const why = needed(ground, row, given)
  if (why === undefined) return
  const fix = 'Give them again, or order the image anew.'
  throw new Failure('REQUEST_INVALID', `${row.type} image ${row.id} needs ${why}`, {
    details: { id: row.id },
    fix,
  })
}

/** What is missing for the work to begin. Addresses of callbacks are no reason: these are not called then. */
function needed(ground: Ground, row: ImageRow, given: Secrets): string | undefined {
  const names = JSON.parse(row.secret_names) as string[]
  const lost = names.filter(
    (name) => name.startsWith('parameters.') && name !== 'parameters.callbacks',
  )
  if (lost.length > 0) return `secrets that are no longer kept: ${lost.join(', ')}`
  if (names.includes('definition')) return 'the definition of its provider, which is no longer kept'
  if (row.type !== 'provider') return undefined
  try {
    providerOf(ground, row, given)
    return undefined
  } catch (error) {
    if (error instanceof Failure) return `credentials: ${error.message}`
    throw error
  }
}
