/**
 * JSON-patch as the Image API takes it: two media types, three operations, pointers of one step into the
 * image (two for a place in its list of locations). Reading only; what it does is decided elsewhere.
 */
import { Failure } from '../base/failure.ts'

export type PatchOperation = 'add' | 'replace' | 'remove'

/** One change, with its pointer taken apart. */
export interface PatchStep {
  readonly operation: PatchOperation
  /** Member of the image. */
  readonly name: string
  /** Of a list, if the pointer goes on into it: a position or `-`. */
  readonly place: string | undefined
  /** Not there for `remove`. */
  readonly value: unknown
}

/** What a patch may look like. In draft 4, `add` of what is there already is a conflict. */
export type PatchDialect = 'draft4' | 'draft10'

const DIALECTS: Readonly<Record<string, PatchDialect>> = {
  'application/openstack-images-v2.0-json-patch': 'draft4',
  'application/openstack-images-v2.1-json-patch': 'draft10',
}
const OPERATIONS: readonly PatchOperation[] = ['add', 'remove', 'replace']
/** How many steps pointers have: one, but for locations. */
const LOCATION_DEPTHS: Readonly<Record<PatchOperation, number>> = { add: 2, remove: 2, replace: 1 }
/** More than anybody who means well changes at once. */
const MAX_STEPS = 2000

/** Which dialect a content type names. Fails with MEDIA_TYPE_UNSUPPORTED. */
export function dialectOf(contentType: string | undefined): PatchDialect {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const dialect = Object.hasOwn(DIALECTS, type) ? DIALECTS[type] : undefined
  if (dialect !== undefined) return dialect
  const acceptPatch = Object.keys(DIALECTS).join(', ')
  throw new Failure(
    'MEDIA_TYPE_UNSUPPORTED',
    `images are changed by a JSON-patch, not by '${type || 'a body of no media type'}'`,
    { details: { acceptPatch }, fix: `Send one of ${acceptPatch}.` },
  )
}

/** Fails with REQUEST_INVALID. */
export function parsePatch(body: unknown, dialect: PatchDialect): readonly PatchStep[] {
  if (!Array.isArray(body)) throw invalid('the body has to be a JSON array of operations')
  if (body.length > MAX_STEPS) throw invalid(`a patch has at most ${MAX_STEPS} operations`)
  return body.map((change) => parseStep(change, dialect))
}

function parseStep(change: unknown, dialect: PatchDialect): PatchStep {
  if (typeof change !== 'object' || change === null || Array.isArray(change))
    throw invalid('operations have to be JSON objects')
  const given = change as Readonly<Record<string, unknown>>
  const { operation, pointer } = dialect === 'draft10' ? readDraft10(given) : readDraft4(given)
  const [name = '', place, ...more] = parsePointer(pointer)
  const depth = name === 'locations' ? LOCATION_DEPTHS[operation] : 1
  const steps = 1 + (place === undefined ? 0 : 1) + more.length
  if (steps !== depth) throw invalid(`there is no ${pointer} to ${operation} in an image`)
  if (operation === 'remove') return { operation, name, place, value: undefined }
  if (!Object.hasOwn(given, 'value'))
    throw invalid(`operation '${operation}' needs a member named 'value'`)
  return { operation, name, place, value: given['value'] }
}

/** `{ "op": "add", "path": "/name", "value": … }` */
function readDraft10({ op, path }: Readonly<Record<string, unknown>>) {
  if (op === undefined) throw invalid("an operation has no member named 'op'")
  const operation = OPERATIONS.find((one) => one === op)
  if (operation === undefined)
    throw invalid(`the operations are ${OPERATIONS.join(', ')}, not ${JSON.stringify(op)}`)
  if (typeof path !== 'string') throw invalid("an operation has no text named 'path'")
  return { operation, pointer: path }
}

/** `{ "add": "/name", "value": … }` */
function readDraft4(given: Readonly<Record<string, unknown>>) {
  const named = OPERATIONS.filter((one) => Object.hasOwn(given, one))
  const [operation] = named
  if (operation === undefined || named.length > 1)
    throw invalid(`an operation has exactly one member of ${OPERATIONS.join(', ')}`)
  const pointer = given[operation]
  if (typeof pointer !== 'string') throw invalid(`the path of '${operation}' has to be a text`)
  return { operation, pointer }
}

/** The steps of a JSON pointer, unescaped; there is at least one. Fails with REQUEST_INVALID. */
export function parsePointer(pointer: string): readonly string[] {
  if (!pointer.startsWith('/')) throw invalid(`pointer '${pointer}' does not start with /`)
  const tokens = pointer.slice(1).split('/')
  if (tokens.some((token) => token.trim() === ''))
    throw invalid(`pointer '${pointer}' has an empty step`)
  if (/~(?![01])/.test(pointer))
    throw invalid(`pointer '${pointer}' has a ~ that is neither ~0 nor ~1`)
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function invalid(message: string): Failure {
  return new Failure('REQUEST_INVALID', message)
}
