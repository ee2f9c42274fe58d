import type { FastifyInstance } from 'fastify'
import { type Limits, QUOTA_NAMES, type QuotaName } from '../../access/quotas.ts'
import type { Service } from '../../app/service.ts'
import { MiB } from '../../base/units.ts'
import type { Usage } from '../../images/catalog.ts'
import { sendJson } from '../_answer.ts'
import { openDoor } from '../_door.ts'

/** `GET /v2/info/usage`: what the caller's project has, and may have. Nothing when nothing is limited. */
export function usageRoutes(app: FastifyInstance, service: Service): void {
  const { quotas, catalog } = service
  const door = openDoor(service)
  app.get(
    '/v2/info/usage',
    { schema: { summary: 'what the project uses, and may use' } },
    door.known(async ({ caller: { projectId }, reply }) => {
      if (!quotas.active) return sendJson(reply, 200, { usage: {} })
      const [limits, used] = await Promise.all([quotas.limits(projectId), catalog.usage(projectId)])
      return sendJson(reply, 200, { usage: toWire(limits, used) })
    }),
  )
}

function toWire(limits: Limits, used: Usage): Record<string, { usage: number; limit: number }> {
  const usage: Record<QuotaName, number> = {
    image_size_total: Math.floor(used.size / MiB),
    image_stage_total: Math.floor(used.staged / MiB),
    image_count_total: used.count,
    image_count_uploading: used.uploading,
  }
  return Object.fromEntries(
    QUOTA_NAMES.map((name) => [name, { usage: usage[name], limit: limits[name] ?? -1 }]),
  )
}
