import { pipeline } from 'node:stream/promises'
import { Failure, messageOf } from '../base/failure.ts'
import type { Artifact } from '../factory/cloud-target.ts'
import type { OpenArtifact } from '../factory/factory.ts'
import { viewFormatOf } from '../formats/views.ts'
import { toDisposition } from './_disposition.ts'
import type { BuildVisit } from './_factory-door.ts'
import type { DownloadMemory } from './_download-memory.ts'
import { Leaving, waitWithClient, waitWithClientForEach } from './_leaving.ts'
import { sendView } from './send-view.ts'

/**
 * Answers with the body of a factory image, as its target wants it. A disk in a format is sent as downloads of images
 * are: any range of it, with an ETag; what is more than that (an archive, a box) is sent whole.
 * Fails with BUILD_STATE, OBJECT_NOT_FOUND, VIEW_IMPOSSIBLE, READER_GONE, and as stores do.
 */
export async function sendArtifact(visit: BuildVisit, memory: DownloadMemory): Promise<unknown> {
  const { service, image, request, reply } = visit
  using leaving = new Leaving(request.raw)
  const artifact = await openArtifact(visit, leaving.gone)
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) reply.raw.setHeader(name, value)
  try {
    if (artifact.kind === 'disk') await sendDisk(visit, artifact, memory)
    else {
      await using file = artifact
      await sendFile(visit, file, leaving.gone)
    }
  } catch (error) {
    if (!reply.raw.headersSent) throw error
    service.context.log.error('download.failed', {
      buildId: image.id,
      requestId: request.id,
      error: messageOf(error),
    })
  }
  return reply.hijack()
}

async function openArtifact(
  { service, image, request }: BuildVisit,
  gone: AbortSignal,
): Promise<OpenArtifact> {
  try {
    return await waitWithClient(request.raw, service.factory.openArtifact(image.id, gone))
  } catch (cause) {
    if (!gone.aborted) throw cause
    throw new Failure('READER_GONE', `nobody waits for image ${image.id} any more`, { cause })
  }
}

async function sendDisk(
  { service, image, request, reply }: BuildVisit,
  { bodyId, format, name }: Extract<OpenArtifact, { kind: 'disk' }>,
  memory: DownloadMemory,
): Promise<void> {
  const body = await service.catalog.get(bodyId)
  if (body === undefined)
    throw new Failure('OBJECT_NOT_FOUND', `the body of ${image.id} is gone`, {
      details: { id: image.id },
    })
  await using content = await service.content.openView(body, format)
  using share = memory.take()
  const { buffer } = share
  const fileName = `${name}.${viewFormatOf(format).endings[0] ?? format}`
  await sendView(request.raw, reply.raw, { ...content, fileName, buffer })
}

/** What fails before its first byte can still be answered. */
async function sendFile(
  { request, reply }: BuildVisit,
  artifact: Artifact,
  gone: AbortSignal,
): Promise<void> {
  const { fileName, mediaType, size } = artifact
  const { raw } = reply
  const head = {
    'content-type': mediaType,
    'content-disposition': toDisposition(fileName),
    ...(size !== undefined && { 'content-length': size }),
  }
  if (request.method === 'HEAD') return void raw.writeHead(200, head).end()
  // an archive is made first, and told by its digest: that may take minutes
  const made = waitWithClientForEach(request.raw, artifact.stream(gone))
  const chunks = made[Symbol.asyncIterator]()
  const first = await chunks.next()
  raw.writeHead(200, head)
  const all = async function* () {
    if (first.done !== true) yield first.value
    yield* { [Symbol.asyncIterator]: () => chunks }
  }
  await pipeline(all, raw, { signal: gone }).catch((error: unknown) => {
    if (!gone.aborted) throw error
  })
}
