/** Orders: which stages each asks for. All that can be checked is checked here; `_place-order.ts` keeps them. */
import { Failure, isFailure } from '../../base/failure.ts'
import { Type } from '../../schema/type.ts'
import { chooseBuilder } from './_choose-builder.ts'
import type { ImageRow } from './_factory-tables.ts'
import type { Ground } from './_ground.ts'
import { hideParameters } from './_hide-parameters.ts'
import { type AnyOrder, checkParent, place, type Stage } from './_place-order.ts'
import { demandKnown, makeProvider, namedProvider, parseGiven } from './_providers.ts'
import { checkOptions, secretParameters, takeOptions } from './_take-options.ts'
import type { CloudTarget } from '../cloud-target.ts'
import type { JsonObject } from '../factory-image.ts'
import type { BaseOrder, GivenTemplate, ProviderOrder, TargetOrder } from '../factory.ts'
import type { OsBuilder } from '../os-builder.ts'
import { packFiles } from '../template-files.ts'
import type { Template } from '../template.ts'

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
  const files = filesOf(given)
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

function filesOf({ files = {} }: GivenTemplate): Uint8Array | undefined {
  const contents = Object.values(files)
  if (contents.length === 0) return undefined
  const size = contents.reduce((sum, { length }) => sum + length, 0)
  if (size > MAX_FILES)
    throw new Failure(
      'REQUEST_INVALID',
      `the files of the recipe have ${size} bytes; ${MAX_FILES} is the most`,
    )
  return Buffer.from(JSON.stringify(packFiles(files)))
}
