import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import type { Store } from '../../stores/store.ts'
import { sendJson } from '../_answer.ts'
import { openDoor } from '../_door.ts'

/** What this service offers: import methods and stores. Source: the discovery of the Image API. */
export function infoRoutes(app: FastifyInstance, service: Service): void {
  const { imports, stores, config } = service
  const door = openDoor(service)
  const inOrder = () => config.stores.list.map(({ id }) => stores.get(id))
  const describe = (store: Store) => ({
    id: store.id,
    ...(store.description !== '' && { description: store.description }),
    ...(store.id === stores.default.id && { default: 'true' }),
    ...(store.readOnly && { 'read-only': 'true' }),
  })

  app.get(
    '/v2/info/import',
    { schema: { summary: 'the import methods that are offered' } },
    door.known(async ({ reply }) => {
      const value = imports.methods.map(({ name }) => name)
      const methods = { description: 'Import methods available.', type: 'array', value }
      return sendJson(reply, 200, { 'import-methods': methods })
    }),
  )

  app.get(
    '/v2/info/stores',
    { schema: { summary: 'the stores' } },
    door.known(async ({ reply }) =>
      sendJson(reply, 200, { stores: inOrder().map((store) => describe(store)) }),
    ),
  )

  app.get(
    '/v2/info/stores/detail',
    { schema: { summary: 'the stores, and how they are set up' } },
    door.allowed('stores_info_detail', async ({ reply }) => {
      const details = inOrder().map((store) => ({
        ...describe(store),
        type: store.driver,
        weight: store.weight,
        properties: store.properties,
      }))
      return sendJson(reply, 200, { stores: details })
    }),
  )
}
