import type { FastifyInstance } from 'fastify'
import type { RuleName } from '../../access/default-rules.ts'
import type { Service } from '../../app/service.ts'
import { Failure } from '../../base/failure.ts'
import type { CachedImage, ContentCache } from '../../stores/content-cache.ts'
import { sendJson, sendNothing } from '../_answer.ts'
import { openDoor, type Visit } from '../_door.ts'

/** What `x-image-cache-clear-target` may say. */
const TARGETS = { cache: 'cache', queue: 'queue', '': 'all' } as const

/** The cache of this server: `/v2/cache`, and the addresses that older clients know. */
export function cacheRoutes(app: FastifyInstance, service: Service): void {
  const door = openDoor(service)
  /** For those whom the rule allows it, where there is a cache; else it is 404. */
  const cached = (rule: RuleName, work: (visit: Visit, cache: ContentCache) => Promise<unknown>) =>
    door.allowed(rule, async (visit) => await work(visit, demandCache(service)))

  app.get(
    '/v2/cache',
    { schema: { summary: 'what is cached, and what will be' } },
    cached('cache_list', async ({ reply }, cache) =>
      sendJson(reply, 200, {
        cached_images: (await cache.cached()).map(toWire),
        queued_images: await cache.queued(),
      }),
    ),
  )
  app.delete(
    '/v2/cache',
    { schema: { summary: 'empty the cache, or its queue' } },
    cached('cache_delete', async ({ request, reply }, cache) => {
      await cache.clear(parseTarget(request.headers['x-image-cache-clear-target']))
      return sendNothing(reply)
    }),
  )
  app.get(
    '/v2/cache/nodes/:image_id',
    { schema: { summary: 'refused: each server knows its own cache only' } },
    cached('cache_list', async () => {
      throw new Failure(
        'IMAGE_STATE',
        'each server knows its own cache only; ask them one by one with GET /v2/cache',
      )
    }),
  )
  app.post(
    '/v2/cache/clean',
    { schema: { summary: 'remove what was begun and not finished' } },
    cached('cache_delete', async ({ reply }, cache) => {
      await cache.clean()
      return sendJson(reply, 200, {})
    }),
  )
  app.post(
    '/v2/cache/prune',
    { schema: { summary: 'make the cache as small as it has to be' } },
    cached('cache_delete', async ({ reply }, cache) => {
      const { files, bytes } = await cache.prune()
      return sendJson(reply, 200, { total_files_pruned: files, total_bytes_pruned: bytes })
    }),
  )
  for (const path of ['/v2/cache/:image_id', '/v2/queued_images/:image_id'])
    app.put(
      path,
      { schema: { summary: 'have an image fetched into the cache' } },
      door.image('cache_image', async ({ reply, image }) => {
        const cache = demandCache(service)
        if (image.status !== 'active')
          throw new Failure('REQUEST_INVALID', `image ${image.id} is ${image.status}, not active`)
        await cache.enqueue(image.id)
        return reply.code(path.startsWith('/v2/cache/') ? 202 : 200).send()
      }),
    )
  for (const path of ['cache', 'cached_images', 'queued_images'])
    app.delete(
      `/v2/${path}/:image_id`,
      { schema: { summary: 'take an image out of the cache' } },
      cached('cache_delete', async ({ request, reply }, cache) => {
        const { image_id: id = '' } = request.params as { image_id?: string }
        if (!(await cache.remove(id)))
          throw new Failure('OBJECT_NOT_FOUND', `image ${id} is neither cached nor queued`)
        return sendNothing(reply)
      }),
    )
  olderRoutes(app, cached)
}

type Cached = (
  rule: RuleName,
  work: (visit: Visit, cache: ContentCache) => Promise<unknown>,
) => ReturnType<ReturnType<typeof openDoor>['allowed']>

function olderRoutes(app: FastifyInstance, cached: Cached): void {
  app.get(
    '/v2/cached_images',
    { schema: { summary: 'what is cached (older)' } },
    cached('cache_list', async ({ reply }, cache) =>
      sendJson(reply, 200, { cached_images: (await cache.cached()).map(toWire) }),
    ),
  )
  app.get(
    '/v2/queued_images',
    { schema: { summary: 'what will be cached (older)' } },
    cached('cache_list', async ({ reply }, cache) =>
      sendJson(reply, 200, { queued_images: await cache.queued() }),
    ),
  )
  app.delete(
    '/v2/cached_images',
    { schema: { summary: 'empty the cache (older)' } },
    cached('cache_delete', async ({ reply }, cache) => {
      const count = (await cache.cached()).length
      await cache.clear('cache')
      return sendJson(reply, 200, { num_deleted: count })
    }),
  )
  app.delete(
    '/v2/queued_images',
    { schema: { summary: 'empty its queue (older)' } },
    cached('cache_delete', async ({ reply }, cache) => {
      const count = (await cache.queued()).length
      await cache.clear('queue')
      return sendJson(reply, 200, { num_deleted: count })
    }),
  )
}

function demandCache({ cache }: Service): ContentCache {
  if (cache !== undefined) return cache
  throw new Failure('NOT_SERVED', 'this server has no cache', {
    fix: 'Set cache.enabled in its configuration.',
  })
}

function parseTarget(header: string | string[] | undefined): 'cache' | 'queue' | 'all' {
  const text = String(header ?? '')
  if (text in TARGETS) return TARGETS[text as keyof typeof TARGETS]
  throw new Failure(
    'REQUEST_INVALID',
    `x-image-cache-clear-target: wanted cache, queue or nothing, found '${text}'`,
  )
}

/** Source: times are seconds since 1970 there. */
function toWire({ imageId, size, hits, lastAccessed, lastModified }: CachedImage): object {
  return {
    image_id: imageId,
    size,
    hits,
    last_accessed: lastAccessed.getTime() / 1000,
    last_modified: lastModified.getTime() / 1000,
  }
}
