import type { FastifyRequest } from 'fastify'

/** The query of a request, as it stands in the address; of what is there twice the last. */
export function queryOf({
  raw,
}: Pick<FastifyRequest, 'raw'>): Readonly<Record<string, string | undefined>> {
  const [, text = ''] = (raw.url ?? '').split(/\?(.*)/s)
  return Object.fromEntries(new URLSearchParams(text))
}
