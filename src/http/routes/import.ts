import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { ImportRequest } from '../../imports/imports.ts'
import { PACKAGES } from '../../imports/steps/introspect.ts'
import type { Json } from '../../tasks/task.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { readJsonObject } from '../_body.ts'
import { checkAllowed, type ImageVisit, openDoor } from '../_door.ts'
import { toImageTask } from '../_task-wire.ts'

const IMAGE = '/v2/images/:image_id'
/** Tasks of one image that are shown, the newest first. */
const SHOWN_TASKS = 1000

/** Imports into images, and what became of them. */
export function importRoutes(app: FastifyInstance, service: Service): void {
  const { imports, ledger, catalog } = service
  const door = openDoor(service)

  app.post(
    `${IMAGE}/import`,
    { schema: { summary: 'begin an import' } },
    door.image(undefined, async (visit) => {
      const request = parseImport(await readJsonObject(visit), visit)
      const isCopy = request.method === 'copy-image'
      checkAllowed(visit, isCopy ? 'copy_image' : 'modify_image', visit.target)
      await imports.begin(visit.image, request)
      return visit.reply.code(202).send()
    }),
  )

  // Ingot's own: an import is stopped, as if it had failed, and the image stays.
  app.post(
    `${IMAGE}/actions/cancel-import`,
    { schema: { summary: 'stop an import; the image stays (Ingot’s own)' } },
    door.image('modify_image', async ({ image, reply }) => {
      const task = await ledger.holderOf(image.id)
      if (task === undefined || task.hidden)
        throw new Failure('IMAGE_STATE', `nothing is being imported into image ${image.id}`, {
          details: { id: image.id },
        })
      await imports.cancel(task)
      return sendNothing(reply)
    }),
  )

  app.get(
    `${IMAGE}/tasks`,
    { schema: { summary: 'what was and is done to an image' } },
    door.image(undefined, async ({ image, reply }) => {
      const tasks = await ledger.list({ subject: image.id, limit: SHOWN_TASKS })
      return sendJson(reply, 200, { tasks: tasks.map(toImageTask) })
    }),
  )

  // Ingot's own: what the step introspect found.
  app.get(
    `${IMAGE}/packages`,
    { schema: { summary: 'the packages inside, as introspect found them (Ingot’s own)' } },
    door.image(undefined, async ({ image, reply }) => {
      const packages = await catalog.readAttachment(image.id, PACKAGES)
      if (packages === undefined)
        throw new Failure('NOT_SERVED', `nobody has listed the packages in image ${image.id}`, {
          details: { id: image.id },
        })
      return sendJson(reply, 200, `{"packages":${Buffer.from(packages).toString()}}`)
    }),
  )
}

/** Fails with REQUEST_INVALID. Source: what Glance answers to each of these. */
function parseImport(
  body: Readonly<Record<string, unknown>>,
  { request, caller, service }: ImageVisit,
): ImportRequest {
  const { method, stores, all_stores: all = false, all_stores_must_succeed: must = true } = body
  if (!isObject(method)) throw invalid("an import needs a 'method', which is an object")
  const { name, ...parameters } = method
  if (typeof name !== 'string') throw invalid("the 'method' of an import needs a 'name'")
  if (typeof all !== 'boolean') throw invalid("'all_stores' is true or false")
  if (typeof must !== 'boolean') throw invalid("'all_stores_must_succeed' is true or false")
  const header = request.headers['x-image-meta-store']
  const named = typeof header === 'string' ? header : undefined
  if (all && (stores !== undefined || named !== undefined))
    throw invalid("'all_stores' goes with neither 'stores' nor x-image-meta-store")
  if (stores !== undefined && named !== undefined)
    throw invalid("'stores' and x-image-meta-store do not go together")
  if (stores !== undefined && !isTexts(stores)) throw invalid("'stores' is a list of names")
  const usual = [named ?? service.stores.default.id]
  return {
    method: name,
    parameters: parameters as Readonly<Record<string, Json>>,
    stores: all ? [] : (stores ?? usual),
    allStores: all,
    allMustSucceed: must,
    caller,
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function invalid(message: string): Failure {
  return new Failure('REQUEST_INVALID', message)
}
