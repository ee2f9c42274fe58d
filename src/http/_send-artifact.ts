import { pipeline } from 'node:stream/promises'
import { Failure, messageOf } from '../base/failure.ts'
import type { Artifact } from '../factory/cloud-target.ts'
import { toDisposition } from './_disposition.ts'
import type { BuildVisit } from './_factory-door.ts'
import type { DownloadMemory } from './_download-memory.ts'
import { Leaving, waitWithClient, waitWithClientForEach } from './_leaving.ts'
import { sendView } from './send-view.ts'

/**
 * Answers with the body of a factory image, as its target wants it. A disk in a format is sent as downloads of images
 * are: any range of it, with an ETag; what is more than that (an archive, a box) is sent whole.
 * Fails with BUILD_STATE, OBJECT_NOT_FOUND, VIEW_IMPOSSIBLE, and as stores do.
 */
export async function sendArtifact(visit: BuildVisit, memory: DownloadMemory): Promise<unknown> {
  const { service, image, reply } = visit
  await using artifact = await waitWithClient(
    visit.request.raw,
    service.factory.openArtifact(image.id),
  )
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) reply.raw.setHeader(name, value)
  try {
    if (artifact.format === undefined) await sendStream(visit, artifact)
    else await sendDisk(visit, artifact, artifact.format, memory)
  } catch (error) {
    if (!reply.raw.headersSent) throw error
    service.context.log.error('download.failed', {
      buildId: image.id,
      requestId: visit.request.id,
      error: messageOf(error),
    })
  }
  return reply.hijack()
}

async function sendDisk(
  { service, image, request, reply }: BuildVisit,
  { fileName }: Artifact,
  format: string,
  memory: DownloadMemory,
): Promise<void> {
  const body = image.bodyId === null ? undefined : await service.catalog.get(image.bodyId)
  if (body === undefined)
    throw new Failure('OBJECT_NOT_FOUND', `the body of ${image.id} is gone`, {
      details: { id: image.id },
    })
  await using content = await service.content.openView(body, format)
  using share = memory.take()
  const { buffer } = share
  await sendView(request.raw, reply.raw, { ...content, fileName, buffer })
}

/** What fails before its first byte can still be answered. */
async function sendStream({ request, reply }: BuildVisit, artifact: Artifact): Promise<void> {
  const { fileName, mediaType, size } = artifact
  const { raw } = reply
  using leaving = new Leaving(request.raw)
  const head = {
    'content-type': mediaType,
    'content-disposition': toDisposition(fileName),
    ...(size !== undefined && { 'content-length': size }),
  }
  if (request.method === 'HEAD') return void raw.writeHead(200, head).end()
  // an archive is made first, and told by its digest: that may take minutes
  const made = waitWithClientForEach(request.raw, artifact.stream(leaving.gone))
  const chunks = made[Symbol.asyncIterator]()
  const first = await chunks.next()
  raw.writeHead(200, head)
  const all = async function* () {
    if (first.done !== true) yield first.value
    yield* { [Symbol.asyncIterator]: () => chunks }
  }
  await pipeline(all, raw, { signal: leaving.gone }).catch((error: unknown) => {
    if (!leaving.gone.aborted) throw error
  })
}
