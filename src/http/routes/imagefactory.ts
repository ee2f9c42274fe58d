import type { FastifyInstance, FastifyReply } from 'fastify'
import { IMAGE_FACTORY_TYPES, toImageFactoryRecord } from '../../api/factory-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { FactoryImage, FactoryImageType } from '../../factory/factory-image.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { baseUrlOf } from '../_base-url.ts'
import { checkAllowed, type Visit } from '../_door.ts'
import { DownloadMemory } from '../_download-memory.ts'
import { type BuildVisit, checkDaring, ownerSeenBy } from '../_factory-door.ts'
import { textIn } from '../_imagefactory-body.ts'
import {
  checkAccept,
  checkChild,
  findOfType,
  findParent,
  type ImageFactoryDoor,
  openImageFactoryDoor,
} from '../_imagefactory-door.ts'
import { addImageFactoryInfo } from './imagefactory-info.ts'
import { placeImageFactoryOrder } from '../_imagefactory-order.ts'
import { sendArtifact } from '../_send-artifact.ts'

const ROOT = '/imagefactory'
const OF_BASE = `${ROOT}/base_images/:base_id`
const OF_TARGET = `${ROOT}/target_images/:target_id`
/** Where each type is found: by itself, and below what it was made of. */
const PLACES = [
  ['base', `${ROOT}/base_images`],
  ['target', `${ROOT}/target_images`],
  ['target', `${OF_BASE}/target_images`],
  ['provider', `${ROOT}/provider_images`],
  ['provider', `${OF_TARGET}/provider_images`],
  ['provider', `${OF_BASE}/target_images/:target_id/provider_images`],
] as const
/** What is shown as an object of its own instead. */
const PARENTS: ReadonlySet<string> = new Set(['base_image_id', 'target_image_id'])
/** Of one question to the database. */
const PAGE = 1000

/** Image Factory's REST API v2: its images here, what it tells of itself in `imagefactory-info.ts`. */
export function imageFactoryRoutes(app: FastifyInstance, service: Service): void {
  const door = openImageFactoryDoor(service)
  const memory = new DownloadMemory()
  addImageFactoryInfo(app, service, door)
  for (const [type, path] of PLACES) addCollection(app, door, type, path)
  for (const [type, path] of PLACES) addImage(app, door, type, `${path}/:build_id`, memory)
}

function addCollection(
  app: FastifyInstance,
  door: ImageFactoryDoor,
  type: FactoryImageType,
  path: string,
): void {
  app.get(
    path,
    { schema: { summary: `list ${type} images (Image Factory)` } },
    door.allowed('factory_get', async (visit) => {
      checkAccept(visit.request)
      const parent = await findParent(visit)
      return sendJson(visit.reply, 200, await listImages(visit, type, parent?.id, urlOf(visit)))
    }),
  )
  app.post(
    path,
    { schema: { summary: `have a ${type} image built (Image Factory)` } },
    door.allowed('factory_create', async (visit) => {
      checkAccept(visit.request)
      const parent = await findParent(visit)
      const fields = await door.fields(visit, type)
      const image = await placeImageFactoryOrder(visit, type, fields, parent)
      const record = toImageFactoryRecord(image, null, `${urlOf(visit)}/${image.id}`)
      return sendJson(visit.reply, 202, record)
    }),
  )
}

function addImage(
  app: FastifyInstance,
  door: ImageFactoryDoor,
  type: FactoryImageType,
  path: string,
  memory: DownloadMemory,
): void {
  app.get(
    path,
    { schema: { summary: `show a ${type} image (Image Factory)` } },
    door.known(async (visit) => {
      checkAccept(visit.request)
      return await showImage(visit, await findImage(visit, type))
    }),
  )
  app.route({
    method: ['GET', 'HEAD'],
    url: `${path}/raw_image`,
    schema: { summary: `the body of a ${type} image (Image Factory)` },
    handler: door.known(async (visit) => {
      const image = await findImage(visit, type)
      checkAllowed(visit, 'factory_download', targetOf(image))
      return await sendArtifact({ ...visit, image }, memory)
    }),
  })
  app.delete(
    path,
    { schema: { summary: `delete a ${type} image (Image Factory)` } },
    door.known(async (visit) => {
      checkAccept(visit.request)
      const image = await findImage(visit, type)
      checkAllowed(visit, 'factory_delete', targetOf(image))
      return await deleteImage({ ...visit, image }, await door.fields(visit, type))
    }),
  )
}

async function findImage(visit: Visit, type: FactoryImageType): Promise<FactoryImage> {
  const { build_id: id = '' } = visit.request.params as { build_id?: string }
  const parent = await findParent(visit)
  const image = await findOfType(visit, id, type)
  checkChild(image, parent)
  return image
}

/** Of which an image of Image Factory is told otherwise than its list and its order tell it: by what stands around it. */
async function showImage(visit: Visit, image: FactoryImage): Promise<FastifyReply> {
  const { service, reply } = visit
  const icicle = await service.factory.readDocument(image.id, 'icicle')
  const text = icicle === undefined ? null : Buffer.from(icicle).toString('utf8')
  const { member } = IMAGE_FACTORY_TYPES[image.type]
  const { [member]: record } = toImageFactoryRecord(image, text, urlOf(visit))
  const own = Object.entries(record ?? {}).filter(([key]) => !PARENTS.has(key))
  const around = await kinOf(visit, image)
  return sendJson(reply, 200, { [member]: { ...Object.fromEntries(own), ...around } })
}

async function kinOf(visit: Visit, image: FactoryImage): Promise<object> {
  const root = `${baseUrlOf(visit.service.config, visit.request)}${ROOT}`
  const childrenOf = async (type: FactoryImageType) => {
    const { collection } = IMAGE_FACTORY_TYPES[type]
    return { [collection]: await listImages(visit, type, image.id, `${root}/${collection}`) }
  }
  const parentAs = (type: FactoryImageType) => {
    const { member, collection, type: name } = IMAGE_FACTORY_TYPES[type]
    const id = image.parentId
    const parent = id === null ? null : { _type: name, id, href: `${root}/${collection}/${id}` }
    return { [member]: parent }
  }
  if (image.type === 'base') return await childrenOf('target')
  if (image.type === 'provider') return parentAs('target')
  return { ...parentAs('base'), ...(await childrenOf('provider')) }
}

/** All of them, as there are no pages. */
async function listImages(
  visit: Visit,
  type: FactoryImageType,
  parentId: string | undefined,
  url: string,
): Promise<Record<string, object[]>> {
  const { member, collection, type: name } = IMAGE_FACTORY_TYPES[type]
  const items: object[] = []
  const query = { type, parentId, owner: ownerSeenBy(visit), limit: PAGE }
  for (let after: FactoryImage | undefined; ;) {
    const page = await visit.service.factory.list({ ...query, after })
    for (const { id, status } of page)
      if (status !== 'DELETED') items.push({ [member]: { _type: name, id, href: `${url}/${id}` } })
    after = page.at(-1)
    if (page.length < PAGE) return { [collection]: items }
  }
}

/** A provider image is deleted by who says where it is, with the credentials for that. */
async function deleteImage(
  visit: BuildVisit,
  fields: Readonly<Record<string, unknown>>,
): Promise<FastifyReply> {
  const { service, image, reply } = visit
  const [definition, target] = [textIn(fields, 'provider'), textIn(fields, 'target')]
  const { credentials } = fields
  const given = { definition: isDefinition(definition) ? definition : undefined, credentials }
  checkDaring(visit, { ...given, parameters: {} })
  const isOther = target !== undefined && image.target !== null && target !== image.target
  if (isOther && !namesTarget(service, image.target, target))
    throw new Failure('REQUEST_INVALID', `image ${image.id} is of target ${image.target}`)
  await service.factory.delete(image.id, given)
  return sendNothing(reply)
}

/** Whether a text is a provider's definition; else it is the name of one. */
function isDefinition(text: string | undefined): text is string {
  return text !== undefined && /^\s*[{<]/.test(text)
}

/** Whether both words mean one target. */
function namesTarget({ factory }: Service, name: string | null, word: string): boolean {
  const part = factory.parts().find((one) => one.type === 'cloud' && one.name === name)
  return part?.aliases.includes(word) ?? false
}

function targetOf({ owner }: FactoryImage) {
  return { project_id: owner, owner }
}

/** Of the request, without its query. */
function urlOf({ request, service }: Visit): string {
  return `${baseUrlOf(service.config, request)}${request.originalUrl.split('?', 1)[0]}`
}
