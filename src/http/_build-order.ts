import type { Static } from 'typebox'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { FactoryImage, JsonObject } from '../factory/factory-image.ts'
import type { GivenTemplate } from '../factory/factory.ts'
import { Type } from '../schema/type.ts'
import { checkDaring, findBuild, requesterOf } from './_factory-door.ts'
import type { Visit } from './_door.ts'
import { readShape } from './_metadef-door.ts'

/** Recipes may bring files. */
export const MAX_ORDER = 16 * MiB

const strict = { additionalProperties: false } as const
const text = (description: string) => Type.Optional(Type.String({ description }))

export const templateFields = {
  template: text('TDL (XML) or recipe (YAML)'),
  files: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: 'files that the recipe names, by their paths, in base64',
    }),
  ),
}

/** The body of `POST /ingot/v1/builds`. */
export const orderSchema = Type.Object(
  {
    type: Type.Union([Type.Literal('base'), Type.Literal('target'), Type.Literal('provider')], {
      description: 'which stage is wanted; those before it are built first',
    }),
    ...templateFields,
    builder: text('the OS builder that makes the base image'),
    target: text('the kind of cloud, of target and provider images'),
    parent_id: text('the base or target image to make it of, instead of a template'),
    provider: text('one of the configuration, or a name for the definition'),
    definition: Type.Optional(Type.Unsafe<unknown>({ description: 'where to push to' })),
    credentials: Type.Optional(Type.Unsafe<unknown>({ description: 'kept until they were used' })),
    parameters: Type.Optional(
      Type.Record(Type.String(), Type.Unsafe<unknown>({}), {
        description: 'options of the builder or target; callbacks: addresses that are told',
      }),
    ),
    lenient: Type.Optional(
      Type.Boolean({
        description:
          'as Image Factory: unknown parameters are left alone, a template with faults makes an image that FAILED',
      }),
    ),
  },
  strict,
)

type Order = Static<typeof orderSchema>

/**
 * Has built what the body asks for. Fails with REQUEST_INVALID, FORBIDDEN, BUILD_NOT_FOUND (the parent), and as orders do.
 */
export async function placeOrder(visit: Visit): Promise<FactoryImage> {
  const order = await readShape(visit, orderSchema, MAX_ORDER)
  const { factory } = visit.service
  const { type, builder, target, provider, definition, credentials, lenient = false } = order
  const { parent_id: parentId } = order
  const parameters = (order.parameters ?? {}) as JsonObject // it was read as JSON
  checkFields(order)
  checkDaring(visit, { provider, definition, credentials, builder, parameters })
  if (parentId !== undefined) await findBuild(visit, parentId)
  const template = templateOf(order)
  const common = {
    requester: requesterOf(visit),
    parameters,
    unknownParameters: lenient ? 'tell' : 'refuse',
    invalidTemplate: lenient ? 'fail' : 'refuse',
    builder,
  } as const
  if (type === 'base' && template !== undefined)
    return await factory.orderBase({ ...common, template })
  if (type === 'target' && target !== undefined)
    return await factory.orderTarget({ ...common, target, baseId: parentId, template })
  if (target === undefined || provider === undefined) throw invalid('no target or provider')
  const where = { target, provider, definition, credentials }
  return await factory.orderProvider({ ...common, ...where, targetId: parentId, template })
}

/** What each type needs, and what it has no use for. */
const NEEDS: Readonly<Record<Order['type'], readonly (keyof Order)[]>> = {
  base: [],
  target: ['target'],
  provider: ['target', 'provider'],
}
const NO_USE: Readonly<Record<Order['type'], readonly (keyof Order)[]>> = {
  base: ['target', 'parent_id', 'provider', 'definition', 'credentials'],
  target: ['provider', 'definition', 'credentials'],
  provider: [],
}

/** Fails with REQUEST_INVALID, which names all that is wrong. */
function checkFields(order: Order): void {
  const { type } = order
  const faults = [
    ...NEEDS[type].filter((key) => order[key] === undefined).map((key) => `${key} is missing`),
    ...NO_USE[type]
      .filter((key) => order[key] !== undefined)
      .map((key) => `a ${type} image has no ${key}`),
    ...(type === 'base' && order.template === undefined ? ['template is missing'] : []),
    ...(type !== 'base' && (order.template === undefined) === (order.parent_id === undefined)
      ? ['wanted template or parent_id, one of them']
      : []),
  ]
  if (faults.length > 0) throw invalid(faults.join('; '))
}

/** Fails with REQUEST_INVALID. */
export function templateOf({
  template,
  files = {},
}: {
  readonly template?: string
  readonly files?: Readonly<Record<string, string>>
}): GivenTemplate | undefined {
  if (template === undefined) return undefined
  const decoded = Object.entries(files).map(([path, content]) => [path, fromBase64(path, content)])
  return { text: template, files: Object.fromEntries(decoded) as Record<string, Uint8Array> }
}

function fromBase64(path: string, content: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(content)
  } catch (error) {
    throw new Failure('REQUEST_INVALID', `/files/${path}: wanted base64`, { cause: error })
  }
}

function invalid(message: string): Failure {
  return new Failure('REQUEST_INVALID', message)
}
