import type { FastifyInstance } from 'fastify'
import type { WireLeftover, WirePart } from '../../api/factory-wire.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { Leftover } from '../../factory/factory.ts'
import { sendJson } from '../_answer.ts'
import { hasBody, readJsonObject } from '../_body.ts'
import { openDoor } from '../_door.ts'
import { waitWithClient } from '../_leaving.ts'
import { queryOf } from '../_plain-query.ts'

const LEFTOVERS = '/ingot/v1/leftovers'

/** What the factory can do, and what its builds left in clouds. */
export function factoryPartRoutes(app: FastifyInstance, service: Service): void {
  const { factory } = service
  const door = openDoor(service)

  app.get(
    '/ingot/v1/plugins',
    { schema: { summary: 'OS builders and cloud targets, and the parameters they take' } },
    door.allowed('factory_get', async ({ reply }) => {
      const plugins: readonly WirePart[] = factory.parts()
      return sendJson(reply, 200, { plugins })
    }),
  )

  app.get(
    LEFTOVERS,
    { schema: { summary: 'what builds left in clouds; ?cloud=NAME looks around in that one' } },
    door.allowed('factory_reap', async ({ request, reply }) => {
      const looking = factory.leftovers(queryOf(request)['cloud'])
      const leftovers = await waitWithClient(request.raw, looking)
      return sendJson(reply, 200, { leftovers: leftovers.map(toWireLeftover) })
    }),
  )

  app.post(
    LEFTOVERS,
    { schema: { summary: 'remove what builds left in clouds; answers with what is left still' } },
    door.allowed('factory_reap', async (visit) => {
      const { build_id: id, cloud } = hasBody(visit.request.raw) ? await readJsonObject(visit) : {}
      if (id !== undefined && typeof id !== 'string')
        throw new Failure('REQUEST_INVALID', 'build_id is the id of a build')
      if (cloud !== undefined && typeof cloud !== 'string')
        throw new Failure('REQUEST_INVALID', 'cloud is the name of a cloud')
      const left = await waitWithClient(visit.request.raw, factory.reap(id, cloud))
      return sendJson(visit.reply, 200, { leftovers: left.map(toWireLeftover) })
    }),
  )
}

function toWireLeftover({ imageId, part, thing, reason }: Leftover): WireLeftover {
  return { build_id: imageId, part, thing, reason }
}
