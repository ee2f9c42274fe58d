import type { FastifyInstance, RouteOptions } from 'fastify'
import { NEWEST_MINOR } from '../_version-path.ts'
import { sendJson } from '../_answer.ts'

/**
 * `GET /openapi.json`: what can be asked here, made from the routes; no token is asked for. To be called before
 * routes are added. The library that writes the document is loaded with the first who wants it.
 */
export function openapiRoute(app: FastifyInstance): void {
  const routes: RouteOptions[] = []
  let text: Promise<string> | undefined
  app.addHook('onRoute', (route) => {
    if (route.method !== 'HEAD') routes.push(route)
  })
  app.get(
    '/openapi.json',
    { schema: { summary: 'this interface, as OpenAPI 3.1' } },
    async (_request, reply) => {
      text ??= describe(routes)
      return sendJson(reply, 200, await text)
    },
  )
}

/** On a server that never listens, since the library has to be there before the routes. */
async function describe(routes: readonly RouteOptions[]): Promise<string> {
  const [{ default: fastify }, { default: swagger }] = await Promise.all([
    import('fastify'),
    import('@fastify/swagger'),
  ])
  const app = fastify({ exposeHeadRoutes: false })
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Ingot: the Image API v2',
        description: 'Golden images, in every format; as OpenStack’s clients know it',
        version: `2.${NEWEST_MINOR}`,
      },
      components: {
        securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' } },
      },
      security: [{ token: [] }],
    },
  })
  for (const { method, url, schema } of routes)
    app.route({ method, url, handler: () => {}, ...(schema && { schema }) })
  await app.ready()
  const document = JSON.stringify(app.swagger())
  await app.close()
  return document
}
