import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

/** `GET /metrics`: what the server counts of itself, for Prometheus; no token is asked for. */
export function metricRoutes(app: FastifyInstance, metrics: Metrics): void {
  app.get(
    '/metrics',
    { schema: { summary: 'figures for Prometheus' } },
    async (_request, reply) => {
      const { mediaType, text } = await metrics.render()
      return await reply.header('content-type', mediaType).send(text)
    },
  )
}
