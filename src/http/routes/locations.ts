import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import { type Checksum, parseChecksum } from '../../imports/parse-checksum.ts'
import { sendJson } from '../_answer.ts'
import { readJsonObject } from '../_body.ts'
import { openDoor, type Visit } from '../_door.ts'

const LOCATIONS = '/v2/images/:image_id/locations'

/** Where the data of images stands: the locations API of 2.17. */
export function locationRoutes(app: FastifyInstance, service: Service): void {
  const door = openDoor(service)

  app.get(
    LOCATIONS,
    { schema: { summary: 'where the data of an image stands' } },
    door.image('fetch_image_location', async ({ image, reply }) => {
      const locations = image.locations.map(({ url, store, metadata }) => ({
        url,
        metadata: { ...metadata, store },
      }))
      return sendJson(reply, 200, locations)
    }),
  )

  app.post(
    LOCATIONS,
    { schema: { summary: 'say where the data of an image stands' } },
    door.image('add_image_location', async (visit) => {
      const { url, validation_data: validation } = await readJsonObject(visit)
      if (typeof url !== 'string' || url.length === 0)
        throw new Failure('REQUEST_INVALID', "a location needs a 'url'")
      checkTrust(visit, url)
      await service.imports.addLocation(visit.image, url, parseValidation(validation), visit.caller)
      return visit.reply.code(202).send()
    }),
  )
}

/** Fails with FORBIDDEN: only services say where in our own stores data is. */
function checkTrust({ service, caller }: Visit, url: string): void {
  if (/^https?:/i.test(url) || service.policy.allows('service_api', caller)) return
  throw new Failure('FORBIDDEN', 'users can only give addresses of http: and https:')
}

function parseValidation(given: unknown): Checksum | undefined {
  if (given === undefined || given === null) return undefined
  if (typeof given !== 'object')
    throw new Failure('REQUEST_INVALID', "'validation_data' is an object")
  const { os_hash_algo: algorithm, os_hash_value: value } = given as Record<string, unknown>
  if (algorithm === undefined && value === undefined) return undefined
  return parseChecksum({ algorithm, value })
}
