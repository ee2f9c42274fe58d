/** Orders: all that can be checked is checked, then records, secrets and the first task are kept in one transaction. */
import { Failure, isFailure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { chooseBuilder } from './_choose-builder.ts'
import type { ImageRow } from './_factory-tables.ts'
import { addTask, announce, type Ground, offerAll } from './_ground.ts'
import { demandKnown, makeProvider, namedProvider, parseGiven } from './_providers.ts'
import { TEMPLATE_FILES } from './_records.ts'
import { namesOf, type Secrets } from './_secrets.ts'
import { newRow } from './_new-row.ts'
import { hideParameters } from './_hide-parameters.ts'
import {
  checkOptions,
  secretParameters,
  takeCommon,
  takeOptions,
  unknownParameters,
} from './_take-options.ts'
import type { CloudTarget } from '../cloud-target.ts'
import type { JsonObject } from '../factory-image.ts'
import type { BaseOrder, GivenTemplate, ProviderOrder, TargetOrder } from '../factory.ts'
import type { OsBuilder } from '../os-builder.ts'
import type { Template } from '../template.ts'
import type { TSchema } from 'typebox'

type AnyOrder = BaseOrder | TargetOrder | ProviderOrder

/** A stage that is to be made. */
interface Stage {
  readonly type: ImageRow['type']
  readonly schema: TSchema
  readonly row: Partial<ImageRow>
  readonly secrets?: Secrets
  readonly files?: Uint8Array | undefined
  /** What is wrong with its template, where the order says that such an image is to be kept. */
  readonly fault?: Failure
}

/** A base image's disk, not its template, is what most of a recipe's files are about: these are scripts. */
const MAX_FILES = 16 * 1024 * 1024

export async function orderBase(ground: Ground, order: BaseOrder): Promise<ImageRow> {
  const { stage } = await baseStage(ground, order, order.template)
  return await place(ground, order, [stage])
}

export async function orderTarget(ground: Ground, order: TargetOrder): Promise<ImageRow> {
  const target = ground.list.target(order.target)
  const { stages, parent, name } = await stagesBefore(ground, order, order.baseId, 'base')
  return await place(ground, order, [...stages, targetStage(target, order, name)], parent?.id)
}

export async function orderProvider(ground: Ground, order: ProviderOrder): Promise<ImageRow> {
  const target = ground.list.target(order.target)
  const given = parseGiven({ credentials: order.credentials })
  const { name: provider, definition } = namedProvider(target, order)
  const { credentials } = given
  makeProvider(ground, target, provider, { definition, credentials })
  demandKnown(ground, target, provider, { definition, credentials })
  const { stages, parent, name } = await stagesBefore(ground, order, order.targetId, 'target')
  if (parent !== undefined && parent.target !== target.name)
    throw new Failure(
      'REQUEST_INVALID',
      `wanted a target image for ${target.name}, found ${parent.id}, a ${parent.type} image${parent.target === null ? '' : ` for ${parent.target}`}`,
      {
        fix: `Make one: \`ingot factory target ${target.name} --id IMAGE\`, or order by a template.`,
      },
    )
  if (parent === undefined) stages.push(targetStage(target, order, name))
  const secretKeys = secretParameters([target.provider?.options ?? {}], definition ?? {})
  const pushed: Stage = {
    type: 'provider',
    schema: target.options,
    row: {
      name,
      target: target.name,
      provider,
      definition: definition ? JSON.stringify(hideParameters(definition, secretKeys)) : null,
    },
    secrets: { ...given, ...(secretKeys.length > 0 && definition && { definition }) },
  }
  checkTarget(target, order.parameters)
  return await place(ground, order, [...stages, pushed], parent?.id)
}

/** What has to be there first: an image, or the stages that make it of a template. */
async function stagesBefore(
  ground: Ground,
  order: TargetOrder | ProviderOrder,
  parentId: string | undefined,
  what: 'base' | 'target',
): Promise<{ stages: Stage[]; parent: ImageRow | undefined; name: string | null }> {
  if ((parentId === undefined) === (order.template === undefined))
    throw new Failure(
      'REQUEST_INVALID',
      `wanted either a ${what} image or a template, found ${parentId === undefined ? 'neither' : 'both'}`,
    )
  if (order.template !== undefined) {
    const { stage, name } = await baseStage(ground, order, order.template)
    return { stages: [stage], parent: undefined, name }
  }
  const parent = await ground.records.demand(parentId ?? '')
  checkParent(parent)
  const isFitting = parent.type === 'target' || (what === 'base' && parent.type === 'base')
  if (!isFitting)
    throw new Failure(
      'REQUEST_INVALID',
      `image ${parent.id} is a ${parent.type} image; wanted a ${what} image`,
    )
  return { stages: [], parent, name: parent.name }
}

async function baseStage(
  ground: Ground,
  order: AnyOrder,
  given: GivenTemplate,
): Promise<{ stage: Stage; name: string | null }> {
  const files = packFiles(given)
  let template: Template
  let builder: OsBuilder
  try {
    template = await ground.parseTemplate(given)
    builder = chooseBuilder(ground.list, {
      template,
      parameters: order.parameters,
      builder: order.builder,
      usual: ground.settings.builder,
    })
  } catch (error) {
    if (order.invalidTemplate === 'fail' && isTemplateFault(error))
      return { stage: failedStage(ground, given, error), name: null }
    throw error
  }
  const { name } = template
  const row = { name, template: given.text, builder: builder.name }
  return { stage: { type: 'base', schema: builder.options, row, files }, name }
}

/** Faults of the template, and that no builder can build by it. */
function isTemplateFault(error: unknown): error is Failure {
  const codes = ['TEMPLATE_INVALID', 'RECIPE_INVALID', 'PART_UNKNOWN'] as const
  return codes.some((code) => isFailure(error, code))
}

/** A stage that has failed before anything was begun. */
function failedStage({ list }: Ground, { text }: GivenTemplate, fault: Failure): Stage {
  const [builder] = list.builders
  const row = { name: null, template: text, builder: builder?.name ?? null }
  return { type: 'base', schema: Type.Object({}), row, fault }
}

/** Fails with REQUEST_INVALID. */
function checkTarget(target: CloudTarget, parameters: JsonObject): void {
  const options = takeOptions(target.options, parameters)
  checkOptions(target.options, options, 'parameters')
  const why = target.refuses?.(options)
  if (why !== undefined) throw new Failure('REQUEST_INVALID', `target ${target.name}: ${why}`)
}

function targetStage(target: CloudTarget, { parameters }: AnyOrder, name: string | null): Stage {
  checkTarget(target, parameters)
  return { type: 'target', schema: target.options, row: { name, target: target.name } }
}

/** Keeps the stages, each the parent of the next. Gives the last one, which was asked for. */
async function place(
  ground: Ground,
  order: AnyOrder,
  stages: readonly Stage[],
  parentId?: string,
): Promise<ImageRow> {
  const { database, records, secrets, callbacks, context } = ground
  takeCommon(order.parameters)
  const hidden = secretsIn(order.parameters, stages, callbacks)
  const told = unknownParameters(
    stages.map((stage) => stage.schema),
    order.parameters,
  )
  if (told.length > 0 && order.unknownParameters === 'refuse')
    throw new Failure('REQUEST_INVALID', `parameters: ${told.join('; ')}`, {
      details: { faults: told },
    })
  const shown = JSON.stringify(hideParameters(order.parameters, Object.keys(hidden)))
  const ids = stages.map(() => context.newId())
  const { rows, tasks } = await database.write(async (tx) => {
    const parent = parentId === undefined ? undefined : await records.demand(parentId, tx)
    if (parent) checkParent(parent)
    const rows: ImageRow[] = []
    const tasks: string[] = []
    for (const [index, stage] of stages.entries()) {
      const id = ids[index] ?? ''
      const before = rows.at(-1) ?? parent
      const kept: Secrets = {
        ...stage.secrets,
        ...(namesOf({ parameters: hidden }).length > 0 && { parameters: hidden }),
      }
      const row = newRow({
        ...stage.row,
        id,
        type: stage.type,
        ...beginning(stages[0]?.fault, before, context.now()),
        parent_id: before?.id ?? null,
        parameters: shown,
        owner: order.requester.owner,
        user_id: order.requester.userId,
        request_id: order.requester.requestId,
        by_owner: ground.ordersByOwner === true ? 1 : 0,
        secret_names: JSON.stringify(namesOf(kept)),
        created_at: context.now().getTime() + index, // so that the chain is listed in its order
      })
      await records.insert(tx, row)
      if (row.status !== 'FAILED') await secrets.write(tx, id, kept)
      if (stage.files)
        await records.writeDocuments(tx, id, new Map([[TEMPLATE_FILES, stage.files]]))
      if (row.status === 'NEW') tasks.push(await addTask(ground, tx, row))
      rows.push(row)
    }
    return { rows, tasks }
  })
  const asked = rows.at(-1)
  if (asked === undefined) throw new Error('an order without a stage')
  const at = rows[0]?.id ?? asked.id
  if (told.length > 0) await records.tell(at, ...told.map((text) => `${text}: left alone`))
  for (const { id } of rows) callbacks.remember(id, hidden['callbacks'])
  announce(
    ground,
    rows.filter(({ status }) => status === 'PENDING'),
  )
  await offerAll(ground, tasks)
  context.log.info('factory.ordered', { imageId: asked.id, type: asked.type, name: asked.name })
  return asked
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
function checkParent({ id, type, status }: ImageRow): void {
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

function packFiles({ files = {} }: GivenTemplate): Uint8Array | undefined {
  const entries = Object.entries(files)
  if (entries.length === 0) return undefined
  const size = entries.reduce((sum, [, content]) => sum + content.length, 0)
  if (size > MAX_FILES)
    throw new Failure(
      'REQUEST_INVALID',
      `the files of the recipe have ${size} bytes; ${MAX_FILES} is the most`,
    )
  const packed = entries.map(([path, content]) => [path, Buffer.from(content).toString('base64')])
  return Buffer.from(JSON.stringify(Object.fromEntries(packed)))
}
