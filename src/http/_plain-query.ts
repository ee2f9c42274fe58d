import type { FastifyRequest } from 'fastify'
import { Failure } from '../base/failure.ts'
import { didYouMean } from '../schema/find-faults.ts'

/** The query of a request, as it stands in the address; of what is there twice the last. */
export function queryOf({
  raw,
}: Pick<FastifyRequest, 'raw'>): Readonly<Record<string, string | undefined>> {
  const [, text = ''] = (raw.url ?? '').split(/\?(.*)/s)
  return Object.fromEntries(new URLSearchParams(text))
}

/**
 * The same, of a request that knows no other names: of a misspelt filter everything would come through.
 * Fails with REQUEST_INVALID.
 */
export function queryOfNames(
  request: Pick<FastifyRequest, 'raw'>,
  names: readonly string[],
): Readonly<Record<string, string | undefined>> {
  const query = queryOf(request)
  const wrong = Object.keys(query).find((name) => !names.includes(name))
  if (wrong === undefined) return query
  const message = `unknown query parameter '${wrong}'${didYouMean(wrong, names)}`
  throw new Failure('REQUEST_INVALID', message, { fix: `There are ${names.join(', ')}.` })
}
