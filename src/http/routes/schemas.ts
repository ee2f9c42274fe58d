import type { FastifyInstance } from 'fastify'
import { schemaDocuments } from '../../api/schema-documents.ts'
import type { Service } from '../../app/service.ts'
import { sendJson } from '../_answer.ts'
import { openDoor } from '../_door.ts'
import { readSiteProperties } from '../_site-schema.ts'

/** `/v2/schemas/{image,images,member,members,task,tasks}`: documents that clients read. */
export function schemaRoutes(app: FastifyInstance, service: Service): void {
  const { image } = service.config
  const door = openDoor(service)
  for (const [name, document] of Object.entries(
    schemaDocuments(image, readSiteProperties(image)),
  )) {
    const text = JSON.stringify(document)
    app.get(
      `/v2/schemas/${name}`,
      { schema: { summary: 'schema of what stands below that name' } },
      door.known(async ({ reply }) => sendJson(reply, 200, text)),
    )
  }
}
