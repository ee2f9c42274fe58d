/** Keeps what was ordered: records, secrets and the first task, in one transaction. */
import type { TSchema } from 'typebox'
import { Failure } from '../../base/failure.ts'
import type { Tx } from '../../database/database.ts'
import type { ImageRow } from './_factory-tables.ts'
import { addTask, announce, type Ground, offerAll } from './_ground.ts'
import { hideParameters } from './_hide-parameters.ts'
import { withinLimit } from './_limit-orders.ts'
import { newRow } from './_new-row.ts'
import { eventsAt, TEMPLATE_FILES } from './_records.ts'
import { namesOf, type Secrets } from './_secrets.ts'
import { secretParameters, takeCommon, unknownParameters } from './_take-options.ts'
import type { JsonObject } from '../factory-image.ts'
import type { BaseOrder, ProviderOrder, TargetOrder } from '../factory.ts'

export type AnyOrder = BaseOrder | TargetOrder | ProviderOrder

/** A stage that is to be made. */
export interface Stage {
  readonly type: ImageRow['type']
  readonly schema: TSchema
  readonly row: Partial<ImageRow>
  readonly secrets?: Secrets
  readonly files?: Uint8Array | undefined
  /** What is wrong with its template, where the order says that such an image is to be kept. */
  readonly fault?: Failure
}

/** Keeps the stages, each the parent of the next. Gives the last one, which was asked for. */
export async function place(
  ground: Ground,
  order: AnyOrder,
  stages: readonly Stage[],
  parentId?: string,
): Promise<ImageRow> {
  const { database, records, callbacks, context } = ground
  takeCommon(order.parameters)
  const hidden = secretsIn(order.parameters, stages, callbacks)
  const untaken = unknownIn(order, stages)
  const ids = stages.map(() => context.newId())
  const begin = async (tx: Tx) => {
    const parent = parentId === undefined ? undefined : await records.demand(parentId, tx)
    if (parent) checkParent(parent)
    const rows: ImageRow[] = []
    const tasks: string[] = []
    for (const [index, stage] of stages.entries()) {
      const before = rows.at(-1) ?? parent
      const row = newRow({
        ...stage.row,
        id: ids[index] ?? '',
        type: stage.type,
        ...beginning(stages[0]?.fault, before, context.now()),
        parent_id: before?.id ?? null,
        parameters: JSON.stringify(hideParameters(order.parameters, Object.keys(hidden))),
        owner: order.requester.owner,
        user_id: order.requester.userId,
        request_id: order.requester.requestId,
        by_owner: ground.ordersByOwner === true ? 1 : 0,
        created_at: context.now().getTime() + index, // so that the chain is listed in its order
      })
      rows.push(await keepStage(ground, tx, row, { stage, hidden }))
      if (row.status === 'NEW') tasks.push(await addTask(ground, tx, row))
    }
    const [first] = rows
    const told = eventsAt(context.now(), ...untaken.map((text) => `${text}: left alone`))
    if (first) await records.change(tx, first.id, {}, told)
    return { rows, tasks }
  }
  const { rows, tasks } = await database.writeRows((tx) =>
    withinLimit(ground, tx, order.requester.owner, () => begin(tx)),
  )
  const asked = rows.at(-1)
  if (asked === undefined) throw new Error('an order without a stage')
  for (const { id } of rows) callbacks.remember(id, hidden['callbacks'])
  announce(
    ground,
    rows.filter(({ status }) => status !== 'NEW'),
  )
  await offerAll(ground, tasks)
  context.log.info('factory.ordered', { imageId: asked.id, type: asked.type, name: asked.name })
  return asked
}

/** Keeps a record, and what stands beside it. Gives it as it is kept. */
async function keepStage(
  { records, secrets }: Ground,
  tx: Tx,
  row: ImageRow,
  { stage, hidden }: { readonly stage: Stage; readonly hidden: JsonObject },
): Promise<ImageRow> {
  const isHidden = Object.keys(hidden).length > 0
  const kept: Secrets = { ...stage.secrets, ...(isHidden && { parameters: hidden }) }
  const named = { ...row, secret_names: JSON.stringify(namesOf(kept)) }
  await records.insert(tx, named)
  if (row.status !== 'FAILED') await secrets.write(tx, row.id, kept)
  if (stage.files)
    await records.writeDocuments(tx, row.id, new Map([[TEMPLATE_FILES, stage.files]]))
  return named
}

/** Parameters that no stage takes, each with a sentence. Fails with REQUEST_INVALID if the order wants no such ones. */
function unknownIn(
  { parameters, unknownParameters: wish }: AnyOrder,
  stages: readonly Stage[],
): string[] {
  const schemas = stages.map(({ schema }) => schema)
  const faults = unknownParameters(schemas, parameters)
  if (faults.length === 0 || wish === 'tell') return faults
  throw new Failure('REQUEST_INVALID', `parameters: ${faults.join('; ')}`, { details: { faults } })
}

/** How a stage begins: at once, after the one before it, or not at all, since the template of the first has faults. */
function beginning(
  fault: Failure | undefined,
  before: ImageRow | undefined,
  now: Date,
): Pick<ImageRow, 'status' | 'activity'> & Partial<ImageRow> {
  if (fault !== undefined) {
    const error = before === undefined ? fault.message : `its ${before.type} image failed`
    const failed = { status: 'FAILED', activity: 'reading the template', error } as const
    return { ...failed, failed_by: before?.id ?? null, ended_at: now.getTime() }
  }
  if (before === undefined || before.status === 'COMPLETE')
    return { status: 'NEW', activity: 'waiting for its turn' }
  return { status: 'PENDING', activity: `waiting for its ${before.type} image` }
}

/** Parameters that are not shown, as they were given. */
function secretsIn(
  parameters: JsonObject,
  stages: readonly Stage[],
  callbacks: Ground['callbacks'],
): JsonObject {
  const names = secretParameters(
    stages.map((stage) => stage.schema),
    parameters,
  )
  callbacks.check(parameters)
  if (callbacks.areSecret(parameters)) names.push('callbacks')
  return Object.fromEntries(names.map((name) => [name, parameters[name] ?? null]))
}

/** Fails with BUILD_STATE unless something can be made of it, now or later. */
export function checkParent({ id, type, status }: ImageRow): void {
  const isUsable = ['NEW', 'PENDING', 'BUILDING', 'COMPLETE'].includes(status)
  if (!isUsable)
    throw new Failure(
      'BUILD_STATE',
      `${type} image ${id} is ${status}; nothing can be made of it`,
      {
        details: { id, status },
      },
    )
}
