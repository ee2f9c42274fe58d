import type { IncomingMessage } from 'node:http'

/** The minor versions of the API that paths and media types may name. */
export const NEWEST_MINOR = 18

const VERSION = /^\/v2(?:\.(\d{1,2}))?(?=[/?]|$)/
const VENDOR = /^application\/vnd\.openstack\.images-v2(?:\.(\d{1,2}))?(?=[;,+]|$)/

/**
 * The URL of a request as the routes know it: `/v2.5/images` and `/images` with the vendor's media type in
 * Accept are both `/v2/images`. There is nothing that differs between versions.
 */
export function withoutVersion({
  url = '/',
  headers,
}: Pick<IncomingMessage, 'url' | 'headers'>): string {
  if (url.startsWith('/v2/')) return url
  const version = VERSION.exec(url)
  if (version !== null) return isKnown(version[1]) ? `/v2${url.slice(version[0].length)}` : url
  const vendor = VENDOR.exec(headers.accept ?? '')
  return vendor !== null && isKnown(vendor[1]) ? `/v2${url}` : url
}

function isKnown(minor: string | undefined): boolean {
  return Number(minor ?? 0) <= NEWEST_MINOR
}
