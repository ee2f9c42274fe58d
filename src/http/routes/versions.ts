import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'
import { sendJson } from '../_answer.ts'
import { versionsOf } from '../_versions.ts'

/** `/` (300: choose one) and `/versions`: the versions of the API; no token is asked for. */
export function versionRoutes(app: FastifyInstance, { config }: Service): void {
  app.get(
    '/',
    { schema: { summary: 'the versions of the API, to choose one' } },
    async (request, reply) => sendJson(reply, 300, versionsOf(config, request)),
  )
  for (const path of ['/versions', '/versions/'])
    app.get(path, { schema: { summary: 'the versions of the API' } }, async (request, reply) =>
      sendJson(reply, 200, versionsOf(config, request)),
    )
}
