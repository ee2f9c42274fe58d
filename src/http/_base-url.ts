import type { FastifyRequest } from 'fastify'
import type { ServiceConfig } from '../app/service-config.ts'

/**
 * Where clients reach this service, without a slash at the end: as configured, else as this client did,
 * through whatever proxies that say so.
 */
export function baseUrlOf(
  { public_endpoint: configured }: ServiceConfig,
  request: FastifyRequest,
): string {
  if (configured !== undefined) return configured.replace(/\/+$/, '')
  const { headers, raw } = request
  const scheme = first(headers['x-forwarded-proto'])
  const host = first(headers['x-forwarded-host']) ?? headers.host
  const shown = host !== undefined && /^[\w.:[\]-]+$/.test(host) ? host : addressOf(raw.socket)
  return `${scheme === 'https' ? 'https' : 'http'}://${shown}`
}

function first(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]?.split(',', 1)[0]?.trim()
}

function addressOf({
  localAddress = 'localhost',
  localPort,
}: FastifyRequest['raw']['socket']): string {
  const host = localAddress.includes(':') ? `[${localAddress}]` : localAddress
  return localPort === undefined ? host : `${host}:${localPort}`
}
