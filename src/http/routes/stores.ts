import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import { sendNothing } from '../_answer.ts'
import { openDoor } from '../_door.ts'

/** `DELETE /v2/stores/{store}/{image}`: takes the data of an image out of one store. */
export function storeRoutes(app: FastifyInstance, service: Service): void {
  const { images, stores } = service
  const door = openDoor(service)
  app.delete(
    '/v2/stores/:store_id/:image_id',
    { schema: { summary: 'take the data of an image out of one store' } },
    door.image('delete_image_location', async ({ request, reply, image }) => {
      const { store_id: id = '' } = request.params as { store_id?: string }
      if (!stores.all.some((store) => store.id === id))
        throw new Failure('LOCATION_NOT_FOUND', `there is no store '${id}'`, {
          details: { store: id },
        })
      await images.removeFromStore(image.id, id)
      return sendNothing(reply)
    }),
  )
}
