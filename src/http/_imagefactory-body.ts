import type { FastifyRequest } from 'fastify'
import { Failure, messageOf } from '../base/failure.ts'
import { asObject, checkText, type Exchange, parseJson, parseText, readWhole } from './_body.ts'
import { boundaryOf, parseMultipart } from './_multipart.ts'

type Pairs = readonly (readonly [name: string, value: string])[]

/** What a request of Image Factory's API brings. */
export interface ImageFactoryBody {
  readonly fields: Readonly<Record<string, unknown>>
  /** What OAuth signs of it: the fields of a urlencoded form. */
  readonly form?: Pairs
}

/** Fields of a form; a million of them would keep the server busy for a minute. */
const MAX_FIELDS = 256
const FORM = 'application/x-www-form-urlencoded'

/** Whether the body is one of which OAuth signs the fields. */
export function isUrlencoded({ headers }: FastifyRequest): boolean {
  return mediaTypeOf(headers) === FORM
}

/**
 * Reads a body: JSON, or a form. Fails with REQUEST_INVALID, LIMIT_EXCEEDED, REQUEST_TIMEOUT, READER_GONE.
 */
export async function readImageFactoryBody(exchange: Exchange): Promise<ImageFactoryBody> {
  const { headers } = exchange.request
  const bytes = await readWhole(exchange)
  switch (mediaTypeOf(headers)) {
    case FORM: {
      const form = parseForm(parseText(bytes))
      return { fields: fromPairs(form), form }
    }
    case 'multipart/form-data':
      return { fields: fromPairs(parseMultipart(bytes, boundaryOf(headers['content-type'] ?? ''))) }
    default:
      return { fields: asObject(parseJson(bytes)) }
  }
}

/** `{"base_image": {…}}` or `{…}`: the fields of the image. */
export function fieldsOf(
  { fields }: ImageFactoryBody,
  member: string,
): Readonly<Record<string, unknown>> {
  const wrapped = Object.hasOwn(fields, member) ? fields[member] : undefined
  return wrapped === undefined ? fields : asObject(wrapped)
}

/** A text, if it is there; null is not. Fails with REQUEST_INVALID. */
export function textIn(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): string | undefined {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') return value
  throw new Failure('REQUEST_INVALID', `${name} has to be a text`)
}

/** An object, or the JSON of one, as forms have it; empty if it is not there. Fails with REQUEST_INVALID. */
export function objectIn(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): Record<string, unknown> {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  if (value === undefined || value === null || value === '') return {}
  try {
    return asObject(typeof value === 'string' ? parseJson(Buffer.from(value)) : value)
  } catch (error) {
    throw new Failure('REQUEST_INVALID', `${name} has to be an object: ${messageOf(error)}`)
  }
}

/** Fails with REQUEST_INVALID. */
function parseForm(text: string): Pairs {
  let fields = 1
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) fields += 1
  if (fields > MAX_FIELDS)
    throw new Failure('REQUEST_INVALID', `the form has more than ${MAX_FIELDS} fields`)
  return [...new URLSearchParams(text)]
}

function mediaTypeOf(headers: FastifyRequest['headers']): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** The last one of a name counts. */
function fromPairs(pairs: Pairs): Record<string, unknown> {
  for (const [name, value] of pairs) {
    checkText(name)
    checkText(value)
  }
  return Object.fromEntries(pairs)
}
