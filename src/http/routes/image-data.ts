import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { Image } from '../../images/image.ts'
import type { ViewedContent } from '../../images/image-content.ts'
import { placesOf } from '../../images/status.ts'
import { findSigner } from '../../images/signature.ts'
import type { UploadRequest } from '../../images/upload.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { readBody } from '../_body.ts'
import { released } from '../_released.ts'
import { checkStoredRange, type Download, parseDownload } from '../_download.ts'
import { checkAllowed, type ImageVisit, openDoor } from '../_door.ts'
import { DownloadMemory } from '../_download-memory.ts'
import { sendView } from '../send-view.ts'

const FILE = '/v2/images/:image_id/file'

/** Data of images: brought, staged, and given out as it is stored or in another format. */
export function imageDataRoutes(app: FastifyInstance, service: Service): void {
  const { uploads, config } = service
  const door = openDoor(service)
  const memory = new DownloadMemory()

  app.put(
    FILE,
    { schema: { summary: 'upload the data of an image' } },
    door.image('upload_image', async (visit) => {
      const store = visit.request.headers['x-image-meta-store']
      const named = typeof store === 'string' && store !== '' ? { store } : {}
      await whileConnected(visit, (request) => uploads.upload({ ...request, ...named }))
      return sendNothing(visit.reply)
    }),
  )

  app.put(
    '/v2/images/:image_id/stage',
    { schema: { summary: 'stage data, to be imported' } },
    door.image('upload_image', async (visit) => {
      if (!config.import.methods.includes('glance-direct'))
        throw new Failure('NOT_SERVED', 'import method glance-direct is off, so nothing is staged')
      await whileConnected(visit, (request) => uploads.stage(request))
      return sendNothing(visit.reply)
    }),
  )

  app.route({
    method: ['GET', 'HEAD'],
    url: FILE,
    schema: { summary: 'the data of an image, as it is stored or in another format' },
    handler: door.image('download_image', async (visit) => {
      const { image, caller, request, reply } = visit
      if (image.status === 'deactivated' && !caller.isAdmin)
        throw new Failure('FORBIDDEN', `image ${image.id} is deactivated`)
      const download = parseDownload(request, image)
      for (const store of download.prefer) {
        service.stores.get(store)
        checkAllowed(visit, 'download_from_store', visit.target)
      }
      if (placesOf(image).length === 0) return sendNothing(reply)
      await using content = await open(service, image, download)
      using share = memory.take()
      return await send(visit, content, { ...download, buffer: share.buffer })
    }),
  })

  app.get(
    '/v2/images/:image_id/formats',
    { schema: { summary: 'the formats that an image can be had in (Ingot’s own)' } },
    door.image('download_image', async ({ image, reply }) => {
      const formats = await service.content.formats(image)
      const rows = formats.map(({ mediaType, ...row }) => ({ ...row, media_type: mediaType }))
      return sendJson(reply, 200, { formats: rows })
    }),
  )
}

/** Has data taken in for as long as the client is there. Fails with MEDIA_TYPE_UNSUPPORTED, REQUEST_INVALID. */
async function whileConnected(
  { image, caller, request, reply, service }: ImageVisit,
  take: (request: Omit<UploadRequest, 'store'>) => Promise<Image>,
): Promise<void> {
  checkContentType(request)
  const { findCertificate } = service.imageKeys
  const signer = await findSigner(image.properties, caller, findCertificate)
  const gone = new AbortController()
  const { raw } = request
  const { socket } = raw // which it forgets when it ends
  const leave = () => {
    if (!raw.complete) gone.abort(new Failure('READER_GONE', 'the client left'))
  }
  socket.once('close', leave)
  try {
    await take({
      imageId: image.id,
      stream: released(readBody({ request, reply })),
      size: announcedSize(request),
      signer,
      userId: caller.userId,
      requestId: caller.requestId,
      signal: gone.signal,
    })
  } finally {
    socket.off('close', leave)
  }
}

function checkContentType({ headers }: FastifyRequest): void {
  const [type] = (headers['content-type'] ?? '').split(';')
  if (type?.trim().toLowerCase() === 'application/octet-stream') return
  throw new Failure(
    'MEDIA_TYPE_UNSUPPORTED',
    `image data comes as application/octet-stream, not as '${type}'`,
  )
}

/** What the client says that it sends. Fails with REQUEST_INVALID when it contradicts itself. */
function announcedSize({ headers }: FastifyRequest): number | undefined {
  const sizes = [headers['x-openstack-image-size'], headers['content-length']]
    .filter((text) => text !== undefined)
    .map(String)
  const [first, second] = sizes
  const isNumber = sizes.every((text) => /^\d{1,15}$/.test(text))
  if (!isNumber || (second !== undefined && Number(first) !== Number(second)))
    throw new Failure('REQUEST_INVALID', `sizes were announced that cannot be: ${sizes.join(', ')}`)
  return first === undefined ? undefined : Number(first)
}

async function open(
  { content }: Service,
  image: Image,
  { format, prefer }: Download,
): Promise<ViewedContent> {
  return format === undefined
    ? await content.openStored(image, prefer)
    : await content.openView(image, format, prefer)
}

/** Answers with content; what fails before its first byte is for the caller to answer. */
async function send(
  { image, request, reply, service }: ImageVisit,
  { fileName, ...content }: ViewedContent,
  { format, range, buffer }: Download & { readonly buffer: number },
): Promise<unknown> {
  const isStored = format === undefined
  if (isStored && content.view) checkStoredRange(range, content.view.length)
  const { raw } = reply
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value)
  if (isStored && image.checksum !== null) raw.setHeader('Content-MD5', image.checksum)
  const served = { ...content, range, buffer, ...(!isStored && { fileName }) }
  try {
    await sendView(request.raw, raw, served)
  } catch (error) {
    if (!raw.headersSent) throw error
    const { log } = service.context
    log.error('download.failed', { imageId: image.id, requestId: request.id, error })
  }
  return reply.hijack()
}
