/** Deletion: in clouds first, then the body unless another image shares it, then the record. */
import { Failure } from '../../base/failure.ts'
import type { Lease, Task } from '../../tasks/task.ts'
import { outcomeOf } from '../../tasks/outcome.ts'
import type { ImageRow } from './_factory-tables.ts'
import { announce, type Ground, newTask, offerAll, taskTypes } from './_ground.ts'
import { type GivenProvider, parseGiven, providerOf } from './_providers.ts'
import { eventsAt } from './_records.ts'
import { isAtProvider, removeElsewhere } from './_remove-elsewhere.ts'
import { imageIdOf } from './_run-stage.ts'
import { deadline } from './_stop-in-time.ts'

const REMOVE_MS = 30 * 60_000
const UNFINISHED = ['NEW', 'PENDING', 'BUILDING', 'DELETING']

export async function deleteImage(
  ground: Ground,
  id: string,
  { keep = false, ...given }: GivenProvider & { readonly keep?: boolean },
): Promise<void> {
  const { database, records, secrets, context } = ground
  const parsed = parseGiven(given)
  const { row, task } = await database.writeRows(async (tx) => {
    const now = await records.demand(id, tx)
    if (UNFINISHED.includes(now.status)) throw atWork(now)
    // What is made of it just now reads its body.
    const [reader] = await records.children(id, ['NEW', 'PENDING', 'BUILDING'], tx)
    if (reader)
      throw new Failure(
        'BUILD_STATE',
        `image ${id} is in use: ${reader.type} image ${reader.id} is ${reader.status}`,
        {
          details: { id, child: reader.id },
        },
      )
    if (isAtProvider(now) && !keep) providerOf(ground, now, parsed) // fails with REQUEST_INVALID
    const row = await records.change(tx, id, {
      status: 'DELETING',
      activity: 'waiting for its deletion',
      error: null,
    })
    await secrets.forget(tx, id)
    await secrets.write(tx, id, parsed)
    const asked = newTask(row, context.newId(), taskTypes.delete)
    const task = await ground.ledger.add(tx, { ...asked, input: { factoryImageId: id, keep } })
    return { row, task }
  })
  announce(ground, [row])
  await offerAll(ground, [task.id])
}

/** The work of the task. */
export async function runDelete(ground: Ground, lease: Lease): Promise<void> {
  const { database, records, secrets, bodies, context } = ground
  const id = imageIdOf(lease.task)
  const row = await records.demand(id)
  const kept = await secrets.read(id)
  using limit = deadline(
    REMOVE_MS,
    () => new Failure('PHASE_TIMEOUT', 'the deletion took too long'),
  )
  const signal = AbortSignal.any([lease.signal, limit.signal])
  if (!keepsElsewhere(lease.task))
    await removeElsewhere(ground, { row, secrets: kept, lease }, signal)
  // From here on the body is this task's: nobody new can share that of an image that is being deleted. Serialisable, so that
  // of two that share it and are deleted at the same time one sees that it is the last.
  const bodyId = await database.write(async (tx) => {
    const now = await records.demand(id, tx)
    const known = bodyOf(lease.task) ?? now.body_id
    if (known === null) return undefined
    await records.change(tx, id, { body_id: null, identifier_on_provider: null })
    if (await records.sharesBody(known, tx)) return undefined
    await lease.note([{ body: known }], tx)
    return known
  })
  if (bodyId !== undefined) await bodies.remove(bodyId, signal)
  await database.writeRows(async (tx) => {
    await lease.guard(tx)
    await records.remove(tx, id)
    await secrets.forget(tx, id)
    await lease.finish({ status: 'success', message: '' }, tx)
  })
  const gone = { ...row, status: 'DELETED' as const, activity: 'deleted', body_id: null }
  announce(ground, [gone])
  context.log.info('factory.deleted', { imageId: id })
}

/** DELETEFAILED, with the reason; it can be tried again. */
export async function undoDelete(
  ground: Ground,
  task: Task,
  reason: Error,
  lease: Lease,
): Promise<void> {
  const { database, records, secrets } = ground
  const id = imageIdOf(task)
  const { message } = outcomeOf(reason)
  const body = bodyOf(task)
  const row = await database.writeRows(async (tx) => {
    const now = await records.find(id, tx)
    if (now === undefined) return undefined
    const log = eventsAt(ground.context.now(), `not deleted: ${message}`)
    const change = {
      status: 'DELETEFAILED' as const,
      activity: '',
      error: message,
      ...(body !== undefined && { body_id: body }),
    }
    const changed = await records.change(tx, id, change, log)
    await secrets.forget(tx, id)
    await lease.finish(outcomeOf(reason), tx)
    return changed
  })
  if (row) announce(ground, [row])
}

/** Whether what it is elsewhere stays there, as was asked for. */
function keepsElsewhere({ input }: Task): boolean {
  return typeof input === 'object' && input !== null && 'keep' in input && input.keep === true
}

/** The body that an earlier attempt began to remove. */
function bodyOf({ leftovers }: Task): string | undefined {
  for (const one of leftovers)
    if (typeof one === 'object' && one !== null && 'body' in one && typeof one.body === 'string')
      return one.body
  return undefined
}

function atWork({ id, status, type }: ImageRow): Failure {
  const fix = status === 'DELETING' ? undefined : 'Cancel it first.'
  return new Failure('BUILD_STATE', `${type} image ${id} is ${status}`, {
    details: { id, status },
    ...(fix !== undefined && { fix }),
  })
}
