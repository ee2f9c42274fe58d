import { Failure } from '../base/failure.ts'
import type { FactoryImage, FactoryImageType, JsonObject } from '../factory/factory-image.ts'
import type { Visit } from './_door.ts'
import { checkDaring, requesterOf } from './_factory-door.ts'
import { objectIn, textIn } from './_imagefactory-body.ts'
import { findOfType } from './_imagefactory-door.ts'

/**
 * Has built what Image Factory's fields ask for. Parameters that nobody knows are left alone, and a template with faults
 * becomes an image that FAILED, as there. Fails with REQUEST_INVALID, BUILD_NOT_FOUND, BUILD_STATE, PART_UNKNOWN, FORBIDDEN.
 */
export async function placeImageFactoryOrder(
  visit: Visit,
  type: FactoryImageType,
  fields: Readonly<Record<string, unknown>>,
  parent: FactoryImage | undefined,
): Promise<FactoryImage> {
  const { factory } = visit.service
  const parameters = objectIn(fields, 'parameters') as JsonObject // it was read as JSON
  const text = textIn(fields, 'template')
  const common = {
    requester: requesterOf(visit),
    parameters,
    unknownParameters: 'tell',
    invalidTemplate: 'fail',
  } as const
  if (type === 'base') {
    checkDaring(visit, { parameters })
    return await factory.orderBase({ ...common, template: { text: demand(text, 'template') } })
  }
  const target = demand(textIn(fields, 'target'), 'target')
  const field = type === 'target' ? 'base_image_id' : 'target_image_id'
  const id = await parentId(visit, textIn(fields, field), parent, field)
  if (id === undefined && text === undefined)
    throw new Failure('REQUEST_INVALID', `wanted ${field} or template, found neither`)
  const template = id === undefined && text !== undefined ? { text } : undefined
  if (type === 'target') {
    checkDaring(visit, { parameters })
    return await factory.orderTarget({ ...common, target, baseId: id, template })
  }
  const provider = demand(textIn(fields, 'provider'), 'provider')
  const { credentials } = fields
  checkDaring(visit, { provider, credentials, parameters })
  const where = { target, provider, credentials }
  return await factory.orderProvider({ ...common, ...where, targetId: id, template })
}

/** Of the path or the body; if of both, it is one. */
async function parentId(
  visit: Visit,
  given: string | undefined,
  parent: FactoryImage | undefined,
  field: 'base_image_id' | 'target_image_id',
): Promise<string | undefined> {
  if (given === undefined) return parent?.id
  if (parent !== undefined && parent.id !== given)
    throw new Failure('REQUEST_INVALID', `${field} and the path name two images`)
  const isBase = field === 'base_image_id'
  const image = await findOfType(visit, given, isBase ? 'base' : 'target').catch(
    async (error: unknown) => {
      if (isBase) return await findOfType(visit, given, 'target') // an image may be made of a target image
      throw error
    },
  )
  return image.id
}

/** Fails with REQUEST_INVALID. */
function demand(value: string | undefined, name: string): string {
  if (value !== undefined && value !== '') return value
  throw new Failure('REQUEST_INVALID', `Missing value for key: ${name}`)
}
