import type { FastifyRequest } from 'fastify'
import type { ServiceConfig } from '../app/service-config.ts'
import { baseUrlOf } from './_base-url.ts'
import { NEWEST_MINOR } from './_version-path.ts'

/** Minor versions that are there only when images are cached. */
const WITH_CACHE: readonly number[] = [14, 16, 18]

/**
 * The versions of the API, the newest first, as clients discover them. What needs several stores is always
 * there: each store of the configuration can be named.
 * Source: GET / and GET /versions of the Image API v2.
 */
export function versionsOf(config: ServiceConfig, request: FastifyRequest): object {
  const minors = Array.from(
    { length: NEWEST_MINOR + 1 },
    (_, index) => NEWEST_MINOR - index,
  ).filter((minor) => config.cache.enabled || !WITH_CACHE.includes(minor))
  const links = [{ rel: 'self', href: `${baseUrlOf(config, request)}/v2/` }]
  const versions = minors.map((minor, index) => ({
    id: `v2.${minor}`,
    status: index === 0 ? 'CURRENT' : 'SUPPORTED',
    links,
  }))
  return { versions }
}
