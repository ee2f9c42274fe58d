import type { FastifyInstance } from 'fastify'
import { imageTarget } from '../../access/image-door.ts'
import { imageChecks } from '../../api/image-schema.ts'
import type { Service } from '../../app/service.ts'
import type { Image, Visibility } from '../../images/image.ts'
import { sendJson } from '../_answer.ts'
import { applyPatch, checkSteps, type PatchRules } from '../_apply-patch.ts'
import { readJson } from '../_body.ts'
import { openDoor } from '../_door.ts'
import { openImageView } from '../_image-view.ts'
import { dialectOf, parsePatch } from '../_json-patch.ts'
import { checkVisibility } from '../_new-image.ts'
import { readSiteProperties } from '../_site-schema.ts'
import { planLocationSteps } from '../_patch-locations.ts'

/** `PATCH /v2/images/{id}`: changes of records, by JSON-patch; all of them or none. */
export function imagePatchRoutes(app: FastifyInstance, service: Service): void {
  const { images, config, protections } = service
  const { max_properties: maxProperties, max_tags: maxTags } = config.image
  const door = openDoor(service)
  const view = openImageView(service)
  const checks = imageChecks(config.image, readSiteProperties(config.image))

  app.patch(
    '/v2/images/:image_id',
    { schema: { summary: 'change an image by a JSON-patch' } },
    door.image('modify_image', async (visit) => {
      const { request, reply, caller, image, target } = visit
      const dialect = dialectOf(request.headers['content-type'])
      const steps = parsePatch(await readJson(visit), dialect)
      const { isAdmin } = caller
      const rules: PatchRules = {
        dialect,
        checks,
        isAdmin,
        maxProperties,
        maxTags,
        mayTouch: (action, property) =>
          !protections.active || protections.allows(action, property, caller),
      }
      checkSteps(steps, rules)
      for (const { name, value } of steps)
        if (name === 'visibility') checkVisibility(value as Visibility, target, visit)
      applyPatch(image, steps, rules) // what would fail does so before anything is looked up
      const moveLocations = await planLocationSteps(visit, steps)
      const apply = (now: Image) => applyPatch(now, steps, rules)
      const changed = await images.change(image.id, apply, moveLocations)
      return sendJson(reply, 200, view.textOf(changed, caller, imageTarget(changed, caller)))
    }),
  )
}
