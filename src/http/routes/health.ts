import type { FastifyInstance } from 'fastify'
import type { Service } from '../../app/service.ts'

/** `GET /healthcheck`: whether this server answers; no token is asked for. */
export function healthRoutes(app: FastifyInstance, _service: Service): void {
  app.get(
    '/healthcheck',
    { schema: { summary: 'whether this server answers' } },
    async (_request, reply) => reply.type('text/plain; charset=UTF-8').send('OK'),
  )
}
