import { toImage } from './_factory-tables.ts'
import { announce, type Ground } from './_ground.ts'
import { newRow } from './_new-row.ts'
import { takeCommon } from './_take-options.ts'
import { hideParameters } from './_hide-parameters.ts'
import type { DocumentKind, FactoryImage } from '../factory-image.ts'
import type { ImportOrder } from '../factory.ts'

/** Takes an image in as a base image that is COMPLETE. When the record cannot be kept, no body is left. */
export async function importBase(ground: Ground, order: ImportOrder): Promise<FactoryImage> {
  const { database, records, bodies, callbacks, context } = ground
  takeCommon(order.parameters)
  callbacks.check(order.parameters)
  const begun = context.now()
  const id = context.newId()
  const { signal } = context
  const imported = await bodies.importImage(order, id, signal)
  const ended = context.now().getTime()
  const secret = callbacks.areSecret(order.parameters) ? ['callbacks'] : []
  const row = newRow({
    id,
    type: 'base',
    status: 'COMPLETE',
    activity: 'complete',
    percent: 100,
    name: imported.name,
    template: imported.template,
    parameters: JSON.stringify(hideParameters(order.parameters, secret)),
    properties: JSON.stringify(imported.properties ?? {}),
    builder: 'import',
    body_id: imported.bodyId,
    owner: order.requester.owner,
    user_id: order.requester.userId,
    request_id: order.requester.requestId,
    attempts: 1,
    created_at: begun.getTime(),
    updated_at: ended,
    started_at: begun.getTime(),
    ended_at: ended,
  })
  try {
    await database.writeRows(async (tx) => {
      await records.insert(tx, row)
      const documents = Object.entries(imported.documents).map(
        ([kind, content]) => [kind as DocumentKind, Buffer.from(content)] as const,
      )
      await records.writeDocuments(tx, id, new Map(documents))
    })
  } catch (error) {
    await bodies.remove(imported.bodyId, signal)
    throw error
  }
  callbacks.remember(id, order.parameters['callbacks'])
  announce(ground, [row])
  return toImage(row)
}
