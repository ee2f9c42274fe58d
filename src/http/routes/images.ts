import type { FastifyInstance } from 'fastify'
import { imageTarget } from '../../access/image-door.ts'
import { imageChecks } from '../../api/image-schema.ts'
import type { Service } from '../../app/service.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { baseUrlOf } from '../_base-url.ts'
import { readJsonObject } from '../_body.ts'
import { openDoor } from '../_door.ts'
import { openImageView } from '../_image-view.ts'
import { readSiteProperties } from '../_site-schema.ts'
import { checkNewImage, parseNewImage } from '../_new-image.ts'

const IMAGE = '/v2/images/:image_id'

/** Records of images: created, shown, deleted, taken out of use and into it. */
export function imageRoutes(app: FastifyInstance, service: Service): void {
  const { images, imageKeys, config, stores, imports } = service
  const door = openDoor(service)
  const view = openImageView(service)
  const site = readSiteProperties(config.image)
  const checks = { ...imageChecks(config.image, site), required: site.required }

  app.post(
    '/v2/images',
    { schema: { summary: 'create an image, without data' } },
    door.known(async (visit) => {
      const { request, reply, caller } = visit
      const wanted = parseNewImage(await readJsonObject(visit), visit, checks)
      checkNewImage(wanted, visit)
      const image = await images.create(wanted)
      const url = `${baseUrlOf(config, request)}/v2/images/${image.id}`
      const methods = imports.methods.map(({ name }) => name).join(',')
      const storeIds = stores.all.map(({ id }) => id).join(',')
      reply.headers({ location: url, 'openstack-image-store-ids': storeIds })
      if (methods !== '') reply.header('openstack-image-import-methods', methods)
      return sendJson(reply, 201, view.textOf(image, caller, imageTarget(image, caller)))
    }),
  )

  app.get(
    IMAGE,
    { schema: { summary: 'show an image' } },
    door.image(undefined, async ({ image, target, caller, reply }) =>
      sendJson(reply, 200, view.textOf(image, caller, target)),
    ),
  )

  app.delete(
    IMAGE,
    { schema: { summary: 'delete an image and its data' } },
    door.image('delete_image', async ({ image, caller, reply }) => {
      await images.delete(image.id)
      await imageKeys.deleteEncryptionKey(image, caller)
      return sendNothing(reply)
    }),
  )

  app.post(
    `${IMAGE}/actions/deactivate`,
    { schema: { summary: 'take the data of an image out of use' } },
    door.image('deactivate', async ({ image, reply }) => {
      await images.deactivate(image.id)
      return sendNothing(reply)
    }),
  )

  app.post(
    `${IMAGE}/actions/reactivate`,
    { schema: { summary: 'take the data of an image into use again' } },
    door.image('reactivate', async ({ image, reply }) => {
      await images.reactivate(image.id)
      return sendNothing(reply)
    }),
  )
}
