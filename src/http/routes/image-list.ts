import type { FastifyInstance } from 'fastify'
import type { Caller } from '../../access/caller.ts'
import { imageTarget } from '../../access/image-door.ts'
import type { Service } from '../../app/service.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import type { ImageFilter } from '../../images/catalog.ts'
import type { Image } from '../../images/image.ts'
import { IMAGE_STATUSES } from '../../images/status.ts'
import { sendJson } from '../_answer.ts'
import { findImage, openDoor } from '../_door.ts'
import { type ListRequest, parseImageQuery } from '../_image-query.ts'
import { openImageView } from '../_image-view.ts'

/** A page of so many characters is full, however few images are on it; the next one goes on. */
const FULL_PAGE = 16 * MiB

/** `GET /v2/images`: pages of images, filtered and sorted. */
export function imageListRoutes(app: FastifyInstance, service: Service): void {
  const { config, policy } = service
  const door = openDoor(service)
  const view = openImageView(service)

  app.get(
    '/v2/images',
    { schema: { summary: 'list images: filtered, sorted, in pages' } },
    door.allowed('get_images', async ({ request, reply, caller }) => {
      const params = new URLSearchParams(request.raw.url?.split('?', 2)[1])
      const asked = parseImageQuery(params, config.image)
      const found = await findPage(service, asked, caller)
      const texts: string[] = []
      let last = found.length === asked.limit ? found.at(-1) : undefined
      let length = 0
      for (const image of found) {
        if (length > FULL_PAGE) break
        const target = imageTarget(image, caller)
        if (!policy.allows('get_image', caller, target)) continue
        const text = view.textOf(image, caller, target)
        texts.push(text)
        length += text.length
        if (length > FULL_PAGE) last = image
      }
      const links = linksOf(params, last)
      return sendJson(
        reply,
        200,
        `{"images":[${texts.join(',')}],${links},"schema":"/v2/schemas/images"}`,
      )
    }),
  )
}

async function findPage(
  service: Service,
  { marker, filter, ...page }: ListRequest,
  caller: Caller,
): Promise<readonly Image[]> {
  const after = marker === undefined ? undefined : await findMarker(service, marker, caller)
  if (page.limit === 0) return []
  const viewer = { project: caller.projectId, all: caller.isAdmin }
  const shown = withoutDeleted(filter, service.config.image.delayed_delete_s > 0)
  if (shown.anyOf?.status?.length === 0) return []
  return await service.catalog.list({ viewer, filter: shown, ...page, ...(after && { after }) })
}

/** Images whose data is only kept for a while are gone already, whatever status is asked for. */
function withoutDeleted(filter: ImageFilter, areKept: boolean): ImageFilter {
  const status = filter.anyOf?.status ?? (areKept ? IMAGE_STATUSES : undefined)
  if (status === undefined) return filter
  const shown = status.filter((one) => one !== 'pending_delete' && one !== 'deleted')
  return { ...filter, anyOf: { ...filter.anyOf, status: shown } }
}

async function findMarker(service: Service, id: string, caller: Caller): Promise<Image> {
  try {
    return (await findImage({ service, caller }, id)).image
  } catch (error) {
    if (!isFailure(error, 'IMAGE_NOT_FOUND')) throw error
    throw new Failure('REQUEST_INVALID', `the marker ${id} is no image`, { cause: error })
  }
}

/** Where this listing begins, and where it goes on if the page was full. */
function linksOf(params: URLSearchParams, last: Image | undefined): string {
  params.delete('marker')
  const first = `"first":${JSON.stringify(pathOf(params))}`
  if (last === undefined) return first
  params.set('marker', last.id)
  return `${first},"next":${JSON.stringify(pathOf(params))}`
}

function pathOf(params: URLSearchParams): string {
  const query = params.toString()
  return query === '' ? '/v2/images' : `/v2/images?${query}`
}
